"""The model card as XML of the CHAI Applied Model Card, schema v0.2 (``chai_v0.2.xsd``).

Unanswered elements are flagged as such; the schema allows any text there.
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from bedside.card.collect import Card
from bedside.card.markdown import short

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
_PAPER = ("Garifulla et al., A Case Study of Quantizing Convolutional Neural Networks for Fast "
          "Disease Diagnosis on Portable Medical Devices, Sensors 2022, 22, 219, "
          "https://doi.org/10.3390/s22010219")
# Values too long for an element: the evidence file holds them.
_RESULTS = {"UsefulnessUsabilityEfficacy": (("metrics", "Test images"),),
            "FairnessEquity": (("subgroups", "Groups"), ("subgroups", "Worst group")),
            "SafetyReliability": (("metrics", "Protocol"),
                                  ("quantization",
                                   "Test images whose decision differs from float32"),
                                  ("metrics", "Against float32"),
                                  ("robustness", "Under disturbance"))}


def render(card: Card) -> str:
    """Render the card as an XML document."""
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.Element(_name("AppliedModelCard"))
    for section in (_basic, _release, _summary, _uses, _warnings, _trust, _metrics, _resources):
        section(root, card)
    _text(root, "Bibliography", f"The method: {_PAPER}")
    ElementTree.indent(root, " ")
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _name(tag: str) -> str:
    return f"{{{NAMESPACE}}}{tag}"


def _part(parent: ElementTree.Element, tag: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, _name(tag))


def _text(parent: ElementTree.Element, tag: str, *texts: str) -> None:
    # XML 1.0 has no other control characters, not even escaped.
    joined = "\n".join(t for t in texts if t)
    _part(parent, tag).text = "".join(
        c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
        else "�" for c in joined)


def _person(card: Card, key: str) -> str:
    """Return a human answer, or the flag that it is missing."""
    answer = next(a for a in card.answers() if a.key == key)
    return answer.text or f"[{answer.awaits}: {answer.question}]"


def _known(card: Card, field: str, label: str) -> str:
    for filled in card.fields:
        for value in filled.values:
            if filled.id == field and value.label == label:
                told = f"not known: {value.reason}" if value.value is None else plain(value.value)
                return f"{label}: {told}"
    raise KeyError(f"{field}: {label}")


def plain(value: Any) -> str:
    """Return a value on one line without Markdown's escapes."""
    told = short(value)
    for mark in "\\`*[]|#":
        told = told.replace(f"\\{mark}", mark)
    return told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


# ------------------------------------------------------------------ sections


def _basic(root: ElementTree.Element, card: Card) -> None:
    part = _part(root, "BasicInfo")
    _text(part, "ModelName", card.model)
    _text(part, "ModelDeveloper", _person(card, "developer"))
    _text(part, "DeveloperContact", _person(card, "contact"))


def _release(root: ElementTree.Element, card: Card) -> None:
    part = _part(root, "ReleaseInfo")
    _text(part, "ReleaseStage", card.notice, _person(card, "release_stage"))
    _text(part, "ReleaseDate", _person(card, "release_date"))
    _text(part, "ReleaseVersion", _known(card, "identity", "bedside"),
          f"Variants: {', '.join(card.variants)}")
    _text(part, "GlobalAvailability", _person(card, "availability"))
    _text(part, "RegulatoryApproval", _person(card, "regulatory_approval"))


def _summary(root: ElementTree.Element, card: Card) -> None:
    part = _part(root, "ModelSummary")
    _text(part, "Summary", f"An image classifier in {len(card.variants)} number formats for "
          f"{', '.join(card.targets) or 'no device yet'}. {card.notice}",
          _known(card, "architecture", "Network"), _known(card, "quantization", "Scheme"))
    words = _part(part, "Keywords")
    for word in ("medical imaging", "classification", "quantization", *card.classes):
        _text(words, "Keyword", word)


def _uses(root: ElementTree.Element, card: Card) -> None:
    part = _part(root, "UsesAndDirections")
    _text(part, "IntendedUseAndWorkflow", _person(card, "intended_use"),
          _person(card, "clinical_role"))
    _text(part, "PrimaryIntendedUsers", _person(card, "intended_users"))
    _text(part, "HowToUse", "bedside predict BUNDLE IMAGE… on a device that has verified and "
          "self-tested the bundle; bedside serve and the web app answer the same way.")
    _text(part, "TargetedPatientPopulation", _person(card, "patient_population"))
    _text(part, "CautionedOutOfScopeSettings", _person(card, "out_of_scope"))


def _warnings(root: ElementTree.Element, card: Card) -> None:
    part = _part(root, "Warnings")
    _text(part, "KnownRisksAndLimitations", _person(card, "known_limits"),
          _known(card, "limits", "What the audit noted"),
          _known(card, "limits", "Images unlike the training data"))
    _text(part, "KnownBiasesOrEthicalConsiderations", _person(card, "biases_and_ethics"),
          _known(card, "subgroups", "Worst group"))
    _text(part, "ClinicalRiskLevel", _person(card, "clinical_risk_level"))


def _trust(root: ElementTree.Element, card: Card) -> None:
    part = _part(root, "TrustIngredients")
    facts = _part(part, "AISystemFacts")
    _text(facts, "OutcomesAndOutputs", f"One of {', '.join(card.classes)}, with a probability and "
          "a class activation map.", _known(card, "metrics", "Locked threshold"))
    _text(facts, "ModelType", "Convolutional neural network",
          _known(card, "architecture", "Network"), _known(card, "architecture", "Parameters"),
          _known(card, "architecture", "Multiply-accumulates an image"))
    _text(facts, "FoundationModels", _known(card, "architecture", "Starting weights"))
    _text(facts, "InputDataSource", _person(card, "data_origin"),
          _known(card, "data_source", "Read as"), _known(card, "data_source", "Devices"))
    _text(facts, "OutputAndInputDataTypes", "Input: an image. Output: logits and class "
          "activation map.", _known(card, "preprocessing", "Preprocessing"))
    _text(facts, "DevelopmentDataCharacterization",
          _known(card, "sample_size", "Images by part and class"),
          _known(card, "demographics", "Age"), _known(card, "partition", "Unit"),
          _person(card, "reference_standard"))
    _text(facts, "BiasMitigationApproaches", _person(card, "bias_mitigation"),
          _known(card, "training", "Recipe"))
    _text(facts, "OngoingMaintenance", _person(card, "maintenance"),
          _person(card, "monitoring_plan"))
    _text(facts, "Security", _known(card, "identity", "Signature"))
    _text(facts, "Transparency", _known(card, "deidentification", "Method"),
          "Every value with its source: evidence.json")
    about = _part(part, "TransparencyInformation")
    _text(about, "FundingSource", _person(card, "funding"))
    _text(about, "ThirdPartyInformation", _person(card, "licence"))
    _text(about, "StakeholdersConsulted", _person(card, "stakeholders"))


def _metrics(root: ElementTree.Element, card: Card) -> None:
    part = _part(root, "KeyMetrics")
    goals = {
        "UsefulnessUsabilityEfficacy": "Tell the classes apart on images of patients that "
                                       "training never saw.",
        "FairnessEquity": "No group of patients that the model serves worse than the others.",
        "SafetyReliability": "A quantized variant that loses no more than the margin set before "
                             "the run."}
    for tag, goal in goals.items():
        metric = _part(part, tag)
        _text(metric, "MetricGoal", goal)
        results = _part(metric, "Results")
        for field, label in _RESULTS[tag]:
            _results(results, card, field, label)
        _text(metric, "Interpretation", _known(card, "metrics", "Against float32"))
        _text(metric, "TestType", "Test images, read once, at a threshold locked on validation; "
              "95% intervals; paired tests with Holm's adjustment.")
        _text(metric, "TestingDataDescription",
              _known(card, "sample_size", "Images by part and class"))
        _text(metric, "ValidationProcessAndJustification",
              "Calibrated on training images, chosen on validation images.",
              _known(card, "partition", "Groups of near-duplicates in several parts"))


def _results(parent: ElementTree.Element, card: Card, field: str, label: str) -> None:
    value = next(v for f in card.fields if f.id == field for v in f.values if v.label == label)
    found = ({"value": None, "reason": value.reason} if value.value is None else value.value)
    rows = (found.items() if isinstance(found, dict) and value.value is not None
            and field != "robustness" else [("", found)])
    for name, row in rows:
        result = _part(parent, "MetricResult")
        _text(result, "Label", f"{label}: {name}" if name else label)
        _text(result, "ValueJson", json.dumps(row, ensure_ascii=False, allow_nan=False))


def _resources(root: ElementTree.Element, card: Card) -> None:
    part = _part(root, "Resources")
    _text(part, "EvaluationReferences", "evidence.json, report/index.html and results.json of "
          "the run")
    _text(part, "ClinicalTrial", _person(card, "registration"))
    _text(part, "PeerReviewedPublications", _person(card, "publications"))
    _text(part, "PatientConsentOrDisclosure", _person(card, "patient_consent"))
