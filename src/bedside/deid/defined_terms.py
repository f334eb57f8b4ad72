"""Defined terms of the standard: words that name nobody, whatever a patient is called.

Image description (PS3.3 C.7.6.3, C.7.6.1, C.11, C.7.6.16 and C.8), and the coding schemes of
PS3.16 Chapter 8. What is not among them is compared with the file's names like any other text.
"""

from __future__ import annotations

_YES_NO = frozenset({"YES", "NO"})
# Element of group 0028 with representation CS to its terms.
IMAGE_TERMS: dict[str, frozenset[str]] = {
    "PhotometricInterpretation": frozenset({
        "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422",
        "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"}),
    "CorrectedImage": frozenset({
        "DECY", "ATTN", "SCAT", "DTIM", "MOTN", "PMOT", "CLN", "RAN", "RADL", "DCAL", "NORM",
        "UNIF", "LIN", "COUNT", "ENRG", "NCO", "PREP", "TIME", "GRAD", "STIM"}),
    "QualityControlImage": frozenset({"YES", "NO", "BOTH"}),
    "BurnedInAnnotation": _YES_NO, "RecognizableVisualFeatures": _YES_NO,
    "BreastImplantPresent": _YES_NO, "PartialView": _YES_NO,
    "SpatialLocationsPreserved": frozenset({"YES", "NO", "REORIENTED_ONLY"}),
    "PixelSpacingCalibrationType": frozenset({"GEOMETRY", "FIDUCIAL"}),
    "PixelIntensityRelationship": frozenset({"LIN", "LOG", "DISP", "OTHER"}),
    "VOILUTFunction": frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"}),
    "RecommendedViewingMode": frozenset({"SUB", "NAT"}),
    "LossyImageCompression": frozenset({"00", "01"}),
    "LossyImageCompressionMethod": frozenset({
        "ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15", "ISO_13818_2",
        "ISO_14496_10", "ISO_23008_2", "ISO_18181_1"}),
    "ColorSpace": frozenset({"SRGB", "ADOBERGB", "ROMMRGB"}),
    "DataRepresentation": frozenset({"COMPLEX", "REAL", "IMAGINARY", "MAGNITUDE", "PHASE"}),
    "GeometricalProperties": frozenset({"UNIFORM", "NON_UNIFORM"}),
    "ImageProcessingApplied": frozenset({
        "DIGITAL_SUBTR", "HIGH_PASS_FILTER", "LOW_PASS_FILTER", "MULTI_BAND_FLTR",
        "FRAME_AVERAGING", "NONE"}),
    "MaskOperation": frozenset({"NONE", "AVG_SUB", "TID", "REV_TID"}),
    "MaskSelectionMode": frozenset({"SYSTEM", "USER"}),
    "LUTFunction": frozenset({"TO_LOG", "TO_LINEAR"}),
    "RGBLUTTransferFunction": frozenset({"TABLE", "EQUAL_RGB"}),
}
SCHEMES = frozenset({
    "SCT", "SRT", "SNM3", "99SDM", "DCM", "LN", "UCUM", "RADLEX", "FMA", "UMLS", "ICD10", "I10",
    "ICD9", "I9", "I9C", "I10P", "NCIt", "BI", "MSH", "RFC5646", "ISO3166_1", "MDC", "NEU", "BARI",
    "IBSI", "ITIS_TSN", "NDC", "PUBCHEM_CID", "RXNORM", "I11", "I8", "ISO639_1", "ISO639_2"})


def defined(keyword: str, values: list[str]) -> bool:
    """Return whether every value of an element is a term that the standard defines for it."""
    if keyword == "CodingSchemeDesignator":
        return all(v.strip() in SCHEMES for v in values)
    terms = IMAGE_TERMS.get(keyword)
    return terms is not None and all(v.strip() in terms for v in values)
