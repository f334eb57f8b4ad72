"""Strings of known ink in ultrasound images: what the search for burned-in text is held to."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bedside.core.study import PhantomConfig
from bedside.synthetic.phantom import generate

FONTS = ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif",
         "DejaVuSerif-Italic", "DejaVuSans-Oblique", "STIXGeneral", "STIXGeneralBol", "cmr10",
         "cmss10", "cmtt10"]
HERSHEY = [cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX,
           cv2.FONT_HERSHEY_TRIPLEX]
COLOURS = [(255, 255, 0), (0, 255, 0), (0, 255, 255), (255, 128, 0), (255, 0, 0), (255, 0, 255),
           (80, 160, 255)]
FAMILY = ["SMITH", "KOWALSKI", "NGUYEN", "GARCIA", "O'BRIEN", "Mueller", "Ivanova", "Park", "ZHANG"]
GIVEN = ["JANE", "MARIA", "Anna", "EVA", "Thuy", "Olga", "J.", "Sofia"]
ANTIALIAS_MIN = 0.1


@dataclass(frozen=True)
class Texted:
    """``clean`` and ``image`` (H, W) or (H, W, 3) uint8; ``inks`` one (H, W) bool a string, the
    pixels that carry a tenth or more of it; ``touched`` every pixel that a string changed;
    ``tissue`` (H, W) bool."""

    clean: Any
    image: Any
    inks: tuple[Any, ...]
    touched: Any
    tissue: Any
    about: tuple[dict[str, Any], ...]
    real: bool = False


def words(rng: random.Random) -> str:
    name = f"{rng.choice(FAMILY)}{rng.choice(['^', ', ', ' '])}{rng.choice(GIVEN)}"
    date = f"{rng.randint(1, 28):02d}{(s := rng.choice('./-'))}{rng.randint(1, 12):02d}{s}" \
           f"{rng.randint(1930, 2024)}"
    return rng.choice([
        name, name, f"ID {rng.randint(10**5, 10**8)}", f"{rng.randint(10**5, 10**8)}", date,
        f"DOB {date}", f"{name} {date}", f"Dr. {rng.choice(FAMILY)}", "ST. MARY HOSPITAL",
        f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}",
        f"MRN{rng.randint(1000, 99999)}", f"{rng.choice(GIVEN)} F {rng.randint(18, 90)}y"])


# Height in pixels, the font sizes and the Hershey scales that give it.
USUAL, SMALL = ((10, 40), (13, 34), (0.45, 1.3)), ((6, 9), (7, 13), (0.2, 0.45))
ANY_CONTRAST = (40, 255)


def alpha_of(text: str, rng: random.Random, of: Any = USUAL) -> tuple[Any, str, bool]:
    """Coverage (h, w) in [0, 1], cropped to its ink, of a height as ``of`` says; font; smooth."""
    (lowest, highest), sizes, scales = of
    while True:
        if rng.random() < 0.25:
            face, scale = rng.choice(HERSHEY), rng.uniform(*scales)
            thick = rng.choice([1, 1, 2])
            line = rng.choice([cv2.LINE_AA, cv2.LINE_8])
            (w, h), base = cv2.getTextSize(text, face, scale, thick)
            canvas = np.zeros((h + base + 12, w + 12), np.uint8)
            cv2.putText(canvas, text, (6, h + 5), face, scale, 255, thick, line)
            alpha, name, smooth = canvas / 255.0, f"hershey{face}", line == cv2.LINE_AA
        else:
            name = rng.choice([*FONTS, "pillow"])
            size = rng.randint(*sizes)
            path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
            font: Any = (ImageFont.load_default(size) if name == "pillow"
                         else ImageFont.truetype(str(path), size))
            box = font.getbbox(text)
            smooth = rng.random() < 0.8
            picture = Image.new("L" if smooth else "1", (box[2] + 12, box[3] + 12))
            ImageDraw.Draw(picture).text((6, 6), text, 255 if smooth else 1, font=font)
            alpha = np.asarray(picture.convert("L")) / 255.0
        rows, columns = (np.flatnonzero((alpha >= ANTIALIAS_MIN).any(axis=a)) for a in (1, 0))
        alpha = alpha[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
        if lowest <= alpha.shape[0] <= highest:
            return alpha, name, smooth


SIZES = ((480, 640), (420, 560), (600, 800))


def background(rng: random.Random, busi: list[Path], sizes: Any = SIZES) -> tuple[Any, Any, bool]:
    """A clean image, where its tissue lies and whether it is real, often in a frame."""
    real = bool(busi) and rng.random() < 0.5
    if real:
        picture = np.asarray(Image.open(rng.choice(busi)).convert("L"))
    else:
        height, width = rng.choice(sizes)
        picture = generate(PhantomConfig(images=64, height_px=height, width_px=width),
                           rng.randint(0, 1000), rng.randrange(64)).image
    tissue = np.ones(picture.shape, bool)
    if rng.random() < 0.5:
        pad = [rng.randint(30, 90) for _ in range(4)]
        edges = ((pad[0], pad[1]), (pad[2], pad[3]))
        picture = np.pad(picture, edges, constant_values=rng.choice([0, 0, 0, 8, 16]))
        tissue = np.pad(tissue, edges)
    return picture, tissue, real


def make(seed: int, busi: list[Path] = (), strings: int | None = None,  # type: ignore[assignment]
         sizes: Any = SIZES, letters: Any = USUAL, contrast: tuple[int, int] = ANY_CONTRAST
         ) -> Texted:
    """One image with one to three strings; contrast is that of the ink to the mean beneath."""
    faintest, strongest = contrast
    rng = random.Random(seed)
    clean, tissue, real = background(rng, busi, sizes)
    colour = rng.random() < 0.4
    if colour:
        clean = np.repeat(clean[..., None], 3, axis=2)
    image = clean.astype(np.float64)
    free = np.ones(tissue.shape, bool)
    inks, about = [], []
    touched = np.zeros(tissue.shape, bool)
    wanted = strings or rng.choice([1, 1, 2])
    for _ in range(40):
        if len(inks) == wanted:
            break
        text = words(rng)
        alpha, font, smooth = alpha_of(text, rng, letters)
        h, w = alpha.shape
        if h + 8 > tissue.shape[0] or w + 8 > tissue.shape[1]:
            continue
        y, x = rng.randint(4, tissue.shape[0] - h - 4), rng.randint(4, tissue.shape[1] - w - 4)
        if not free[y - 4:y + h + 4, x - 4:x + w + 4].all():
            continue
        under = clean[y:y + h, x:x + w]
        beneath = under[alpha >= ANTIALIAS_MIN].mean(axis=0)
        if colour and contrast == ANY_CONTRAST and rng.random() < 0.7:
            ink = np.array(rng.choice(COLOURS), float)
        else:
            level = float(np.mean(beneath))
            steps = [s for s in (1, -1) if (255 - level if s > 0 else level) >= faintest]
            step = rng.choice(steps)
            room = min(255 - level if step > 0 else level, strongest)
            # Half of the strings white or black, as scanners write; half anything from 40 on.
            gap = room if step > 0 and rng.random() < 0.5 else rng.uniform(faintest, room)
            ink = np.full(3 if colour else 1, round(level + step * gap), float)
        if not faintest <= np.abs(ink - beneath).max() <= strongest:
            continue
        cover = alpha[..., None] if colour else alpha
        value = ink if colour else ink[0]
        image[y:y + h, x:x + w] = image[y:y + h, x:x + w] * (1 - cover) + value * cover
        spot = np.zeros(tissue.shape, bool)
        spot[y:y + h, x:x + w] = alpha >= ANTIALIAS_MIN
        touched[y:y + h, x:x + w] |= alpha > 0
        free[max(0, y - 4):y + h + 4, max(0, x - 4):x + w + 4] = False
        inks.append(spot)
        about.append({"text": text, "font": font, "height": h, "smooth": smooth, "x": x, "y": y,
                      "contrast": round(float(np.abs(ink - beneath).max())),
                      "inside": bool(tissue[spot].mean() > 0.5), "ink": ink.tolist()})
    return Texted(clean, image.round().astype(np.uint8), tuple(inks), touched, tissue,
                  tuple(about), real)
