"""Every number of the text search, one table per step, with its unit and the reason for it.

The values were tuned on synthetic strings of known ink in phantoms and BUSI images (seeds 100,000
to 19,000,238 and 20,000,000 to 22,000,420); ``benchmarks/text_removal.py`` measures them on other
seeds. *Levels* are grey levels of 0 to 255; *heights* are multiples of a line's height; a *share*
lies in [0, 1]; the *share of ink* of a pixel is how far it has moved from what is beneath to the
ink's colour.
"""

from __future__ import annotations

from typing import NamedTuple


class _Pixels(NamedTuple):
    """Colours, and the size of what is no stroke (shared by all steps)."""

    exact: float = 0.5  # levels: within this two values are one
    tolerance: float = 4.0  # levels: a colour spread by light compression
    flat: float = 6.0  # levels: noise of an even background, and chroma of a grey image
    broad_px: int = 9  # an opening of this size leaves backgrounds, shadows, echoes: no strokes
    speck_px: int = 3  # strokes hang together in at least this many pixels, speckle does not
    beneath_sigma_px: float = 3.0  # Gaussian that estimates the image beneath the ink
    median_px: int = 13  # neighbourhood whose median strokes are compared with
    lowest_px: int = 4  # letters are at least this high ...
    tallest_px: int = 60  # ... and a line is at most this high


class _Frame(NamedTuple):
    """The even frame that a scanner draws around the image (background.py)."""

    least_share: float = 0.02  # of the image; less is no frame
    open_px: int = 15  # a frame is broader than the gaps within letters
    close_px: int = 41  # and letters leave no gap in it that is wider


class _Ocr(NamedTuple):
    """Input of the text detector (ocr.py)."""

    grid_px: int = 32  # the network's stride
    band_px: int = 2_500_000  # larger images are searched in bands, which bounds the memory
    overlap_px: int = 64  # of two bands: more than the highest letters


class _Views(NamedTuple):
    """Scales and contrasts at which the detector sees an image (views.py)."""

    small_px: int = 1400  # images below this size are enlarged more: print is small in them
    slight: float = 1.3  # scale
    enlarged: float = 1.6  # scale
    normalised: float = 2.2  # scale of the locally normalised view of a small image
    clahe: float = 2.6  # scale of the CLAHE view of a small image
    clahe_fields: int = 8  # tiles per side
    clahe_clip: float = 3.0  # contrast limit, times the mean
    local_sigma_px: float = 20.0  # Gaussian of the local mean and spread
    middle: float = 128.0  # level of what is at the local mean
    step: float = 50.0  # levels per local spread
    noise: float = 4.0  # levels of spread that are noise
    frame_near: int = 12  # levels: ink on the frame that hardly differs from it ...
    frame_reach_px: int = 60  # ... is looked for this far around the frame ...
    frame_dark: float = 0.2  # ... and becomes this share of the tissue's level
    close_up: tuple[float, float] = (1.5, 3.0)  # scales of a line seen from near
    above: int = 1  # heights seen above and below the line
    beside: int = 8  # heights seen on either side of it
    height_px: tuple[int, int] = (8, 14)  # bounds of that height
    letter: float = 0.5  # width of a letter, in heights of what the detector marks
    letter_wide: float = 1.2  # the same where it marks more than the letters, as in close-ups


class _Detect(NamedTuple):
    """From the detector's map to lines of text (lines.py, detect.py)."""

    levels: tuple[float, float] = (0.6, 0.3)  # probabilities at which lines are outlined
    join_px: int = 7  # a gap within a line
    least_px: int = 3  # height of what the detector marks
    wide: float = 1.2  # a line is so many times as wide as high
    full: float = 0.6  # share of its box that a line fills; texture is ragged
    sure: float = 0.75  # probability: the detector is sure
    very_sure: float = 0.88  # probability: a person decides even where nothing can be read
    half: float = 0.5  # probability or legibility: enough where the other agrees
    drawn_sure: float = 0.45  # probability: enough where the edges are dense
    drawn_px: int = 40  # sharp pixels in one window: as many as letters alone have
    readable: float = 0.85  # legibility that makes a half-sure line text
    legible: float = 0.6  # legibility with which a faint candidate is for a person
    signs: int = 3  # letters and digits to read: texture reads as one or two
    few_signs: int = 2  # the same where the detector agrees
    single_view: float = 0.7  # legibility of a line that one view alone shows
    after: float = 0.55  # legibility after the removal: remains are read badly
    rounds: int = 2  # close-ups: again where the first showed more of a line
    letter_px: int = 4  # a gap in the mask that is more than the space between two letters
    slope_deg: float = 20.0  # a steeper line is rotated ...
    slope_px: int = 20  # ... if it is this long ...
    slope_narrow: float = 2.8  # ... and so many times as long as wide (texture is short) ...
    slope_sure: float = 0.8  # ... and this probable ...
    slope_masked: float = 0.1  # ... and less than this share of it is masked
    # Shares of the tissue that go without a person's decision: where no ink was seen, and, ink or
    # not, where nobody can read it or it changes by fewer levels than ``little``. Where less of
    # the first goes, more of the second may.
    most: tuple[tuple[float, float], ...] = ((0.0082, 0.0092), (0.0070, 0.0102))
    little: float = 20.0  # levels
    blurred_frame: float = 2.0  # levels of a frame that compression has blurred
    texture_px: int = 9  # window in which ...
    texture_flat: float = 0.9  # ... this share of background is background


class _Strokes(NamedTuple):
    """Rows of letter-like marks of exactly one value (strokes.py)."""

    height_px: tuple[int, int] = (7, 60)
    area_px: tuple[int, int] = (10, 3000)
    contrast: float = 20.0  # levels to what lies around
    row: int = 4  # marks side by side: tissue and speckle make no four
    wide: float = 2.2  # a letter's width in its height
    stroke: float = 0.29  # a stroke's width in the letter's height ...
    thin_px: float = 2.6  # ... or in pixels
    overlap: float = 0.6  # share of the lower mark's height that two neighbours have in common
    alike: float = 1.7  # ratio of two neighbours' heights
    gap: float = 1.6  # heights between two neighbours
    ring_px: int = 3  # width of what lies around a mark


class _Edges(NamedTuple):
    """Density of strokes sharper than tissue (strokes.py)."""

    times: float = 2.0  # distance from the median, times that of nearly all of the image
    fainter: float = 1.6  # the same where much stands close together
    finest: float = 1.3  # the same for tails and full stops beside a line
    quantile: float = 0.99  # "nearly all of the image"
    least: float = 12.0  # levels
    window_px: tuple[int, int] = (11, 33)  # rows, columns in which sharp pixels are counted
    dense: int = 16  # sharp pixels in one window
    join_px: tuple[int, int] = (5, 9)
    wide: float = 1.5  # a line's least width, in its height
    pieces: int = 4  # pieces (as wide as high) full of letters; an echo or a caliper has few
    extent: float = 0.4  # share of the height that makes a piece full
    most: float = 0.5  # share of the pieces that are full
    known_px: int = 2  # margin around what is known already


class _Colour(NamedTuple):
    """The colour in which a line is written (segment.py)."""

    chroma: float = 40.0  # levels between the highest and the lowest channel
    hued: float = 0.04  # share of a line that is ink where its colour is no grey
    hued_around: float = 0.5  # the surroundings have less than this of the line's share
    purest: float = 0.8  # quantile of chroma: smoothing dilutes a colour
    drawn: float = 0.05  # share of coloured pixels below which the image is grey
    least_px: int = 10
    window: int = 9  # levels on either side whose median count is usual
    beneath: float = 0.8  # weight of the surroundings' histogram
    faintest: float = 40.0  # levels of contrast below which a peak weighs less ...
    least_weight: float = 0.1  # ... and no less than this
    broad: float = 0.15  # share of a colour's pixels that are no strokes: a cyst or a shadow
    tries: int = 3  # colours tried
    blurred: int = 12  # levels to each side over which compression spreads bold letters
    plateau: float = 0.05  # share of the line within them
    stark: float = 80.0  # levels of contrast that no tissue has


class _Segment(NamedTuple):
    """Ink of one line, pixel by pixel (segment.py)."""

    many: float = 0.1  # share of the line in the ink's own colour: plain
    faint: float = 0.08  # strength of the colour: less is faint
    told: float = 0.01  # strength below which nothing tells ink from tissue
    none: float = 0.02  # strength below which what lies farther between strokes goes too ...
    none_closing: int = 5  # ... over so many pixels
    closing: int = 2  # pixels closed between thin strokes
    smoothed: float = 0.1  # share of ink beside pure pixels that shows smoothing
    spreads: float = 0.15  # share of ink that smoothing spreads on from
    reach: float = 0.2  # share of ink from which a pixel beside the ink is mixed with it ...
    reach_thin: float = 0.15  # ... in thin letters
    thin: float = 0.45  # share of ink from which any pixel of the line is ink ...
    thin_thin: float = 0.35  # ... in thin letters
    hairline: float = 0.2  # least share of ink of a hairline, on quiet tissue
    base: float = 0.1  # the same, to which ...
    noise_times: float = 3.0  # ... so many standard deviations of the tissue are added
    over: float = 1.3  # share of ink above which a pixel is something brighter
    untold: float = 25.0  # levels within which ink and tissue cannot be told apart ...
    untold_px: int = 4  # ... which matters so near to ink
    even: float = 0.9  # share of the surroundings at one level: an even background
    one_level: float = 0.5  # share of them at exactly one level: any change is ink
    patch: float = 0.3  # height of a patch of ink, in the line's
    overlap: float = 0.2  # heights that a patch shares with the line
    above_px: int = 3  # rows above and below that belong to the line


class _Peaks(NamedTuple):
    """Peaks of local histograms: ink of one level (extend_line.py)."""

    cell_px: tuple[int, int] = (6, 8)  # rows, columns of a cell
    window: tuple[int, int] = (3, 8)  # cells per window
    first: int = 2  # levels beside a peak with which it is compared, from ...
    last: int = 8  # ... to, on either side
    least_px: float = 16.0  # excess over what is expected
    deviations: float = 6.0  # the same, in Poisson standard deviations
    comb: float = 4.0  # a stretched histogram has levels more frequent than their neighbours
    join_px: tuple[int, int] = (3, 13)


class _Extend(NamedTuple):
    """Ink beyond what the detector marks (extend_line.py)."""

    pure: float = 0.5  # share of a line's ink in exactly one colour
    least_px: int = 12
    gap: float = 3.0  # heights between a line and a patch that continues it
    shared: float = 0.4  # share of the height that both have in common
    taller: float = 2.2  # the patch's height, in the line's
    mixed: float = 0.3  # share of ink from which a pixel beside the ink is mixed with it ...
    mixed_most: float = 1.3  # ... and up to which
    least: float = 12.0  # levels from the median of a stroke
    as_far: float = 0.5  # the same, as a share of that of known strokes
    common: float = 0.1  # share of the writing on a frame that has the line's colour
    frame_ends: float = 0.1  # share of frame beside a line below which the frame ends there
    frame_quantile: float = 0.25  # of the pixels there ...
    frame_faint: float = 75.0  # ... within so many levels of the ink: it may go on unseen
    same: float = 15.0  # levels: half of the pixels beside a line hide its ink
    free: float = 0.25  # share of the pixels beside a line that tells


class _Mask(NamedTuple):
    """The ink of all lines and its margin (mask.py)."""

    seed: float = 0.15  # probability of what belongs to a line
    seed_px: int = 4  # margin around it
    flat: float = 0.015  # strength of a colour that lets a line's box grow ...
    rounds: int = 4  # ... so many times
    covered: float = 0.5  # share of a row of strokes that is masked already
    frame_reach: int = 12  # heights that a line goes on over the frame ...
    frame_least_px: int = 12  # ... where a height is at least this
    frame_written: float = 0.25  # share of the frame that writing takes; more is a shadow
    extreme: float = 0.9  # quantile: the level of ink without a pure pixel
    hued: float = 0.5  # share of ink with a colour in a grey image
    surely: float = 80.0  # levels of contrast that no tissue has
    mixed: float = 0.3  # share of ink of a pixel that is no tissue
    spreads: float = 0.3  # share of ink below which no neighbour holds a tenth
    gap: int = 3  # heights of a gap in a faint line
    bold: float = 0.9  # share of bold ink beside pixels of its own colour
    faint: float = 100.0  # levels of contrast: a line is faint
    fainter: float = 55.0  # levels: of small print more must go ...
    thin_px: int = 22  # ... which is at most this high ...
    little: float = 0.6  # ... than this share of its box
    margin_share: float = 0.006  # of the tissue that the margin takes at most
    margin_px: int = 3  # the widest margin
    margin_box_px: int = 2  # how far the margin reaches around a line's box


class _Remove(NamedTuple):
    """Removal from all frames, and the check after it (remove.py)."""

    same: int = 6  # levels: a pixel is unchanged between two frames
    static: float = 0.5  # share of a text's pixels that are unchanged: it stands there too
    known: float = 0.02  # share of a mask that the masks of earlier frames may lack
    most: float = 0.05  # share of the image that goes without a person's decision
    around_px: int = 3  # margin in which text is looked for again
    near_px: int = 20  # its neighbourhood that the detector's map keeps
    certain: float = 0.3  # probability taken as ink where no ink can be told
    preview_px: int = 1024  # the preview's longer side


PIXELS, FRAME, OCR, VIEWS = _Pixels(), _Frame(), _Ocr(), _Views()
DETECT, STROKES, EDGES, COLOUR = _Detect(), _Strokes(), _Edges(), _Colour()
SEGMENT, PEAKS, EXTEND, MASK, REMOVE = _Segment(), _Peaks(), _Extend(), _Mask(), _Remove()
