"""Make the site's fonts smaller: python tools/fonts.py FOLDER, where npm has installed the packages named below.

    npm install --ignore-scripts @fontsource-variable/source-serif-4 @fontsource-variable/source-code-pro @fontsource/stix-two-math

Kept are the letters of European languages that these fonts have, and what formulas need. The licenses, all of them the SIL Open Font
License 1.1, lie beside the files. They reserve the fonts' names, so what comes out of here has names of its own."""

import io
import shutil
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

TARGET = Path(__file__).parent.parent / "mnist_course" / "making" / "static" / "site" / "fonts"

LATIN = {*range(0x20, 0x7F), *range(0xA0, 0x180), *map(ord, "‐–—‘’“”…•‹›€™−×÷≤≥≠≈∞√∑∏∂∫←↑→↓↔✓")}
MATH = {
    *map(
        ord, "0123456789()[]{}|+-=<>/.,:;!'*ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz "
    ),
    *map(ord, "αβγδεθηλμνπρστφχψωΔΘΛΣΦΨΩϵ×÷±·−∓∘∗⋅⋯…∑∏∫√∂∇∞∈∉≤≥≠≈≡∼∝←↑→↓↔⇒⇔↦⟨⟩‖∥ℝ′″ᵀⁿ¹²³★✓✗●○"),
    *range(0x1D434, 0x1D468),  # italic letters, which formulas are set in
    0x210E,
    *range(0x1D6E2, 0x1D71C),  # Greek ones
    *range(0x1D400, 0x1D434),  # bold ones
}
FONTS = {  # file of the package: letters, axes to keep
    "@fontsource-variable/source-serif-4/files/source-serif-4-latin-opsz-normal.woff2": (
        LATIN,
        {"wght": (400, 700), "opsz": (8, 40)},
    ),
    "@fontsource-variable/source-serif-4/files/source-serif-4-latin-wght-italic.woff2": (
        LATIN,
        {"wght": (400, 600)},
    ),
    "@fontsource-variable/source-code-pro/files/source-code-pro-latin-wght-normal.woff2": (
        LATIN,
        {"wght": (400, 600)},
    ),
    "@fontsource/stix-two-math/files/stix-two-math-latin-400-normal.woff2": (MATH, {}),
}
NAMES = ("serif", "serif-italic", "mono", "math")


def main(packages: Path) -> None:
    "Write the fonts and their licenses."
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, (file, (letters, axes)) in zip(NAMES, FONTS.items(), strict=True):
        font = TTFont(packages / "node_modules" / file)
        if axes:
            whole = io.BytesIO()
            instancer.instantiateVariableFont(font, axes).save(whole)
            font = TTFont(io.BytesIO(whole.getvalue()))
        options = subset.Options(
            flavor="woff2", layout_features=["*"], name_IDs=["*"], notdef_outline=True
        )
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=letters)
        cutter.subset(font)
        for record in font["name"].names:
            if record.nameID in (1, 3, 4, 6, 16, 25):
                record.string = f"Course{name.title().replace('-', '')}"
        font.flavor = "woff2"
        font.save(TARGET / f"{name}.woff2")
        family = file.split("/files/")[0]
        shutil.copy(
            packages / "node_modules" / family / "LICENSE",
            TARGET / f"LICENSE-{family.split('/')[1]}.txt",
        )
        print(
            name,
            (TARGET / f"{name}.woff2").stat().st_size,
            len(letters & set(font.getBestCmap())),
            "of",
            len(letters),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
