"The drawing behind lesson 09: what is said about a confusion matrix, and what a model says about a dataset."

import torch
from torch import nn

from mnist_course.engine.plotting import describe_confusion, plot_confusion, predictions
from mnist_course.model import Net
from mnist_course.plotting import confusion_matrix


def testdescribe_confusion():
    matrix = confusion_matrix(torch.tensor([4, 4, 4, 7, 1]), torch.tensor([9, 9, 4, 2, 1]))
    assert (
        describe_confusion(matrix)
        == "Confusion matrix: 2 of 5 right. Most common mistakes: 4 taken for 9: 2; 7 taken for 2: 1."
    )
    assert (
        describe_confusion(torch.eye(10).long()) == "Confusion matrix: 10 of 10 right. No mistake."
    )
    figure = plot_confusion(matrix)
    assert figure.description == describe_confusion(matrix)
    assert [text.get_text() for text in figure.axes[0].texts].count("2") == 1


def test_predictions_leave_the_model_as_it_was(small):
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(784, 10), nn.LogSoftmax(dim=1))
    assert torch.equal(predictions(model, small[1]), predictions(model, small[1]))  # no dropout
    assert model.training
    model[1].eval()  # one layer frozen: it stays so
    predictions(model, small[1])
    assert [module.training for module in model] == [True, False, True, True]
    assert predictions(Net().eval(), small[1]).shape == (200, 10)
