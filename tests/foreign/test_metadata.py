"""What files say of themselves: packed labels, TensorFlow Lite's metadata, files beside them."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
from foreign_models import network, packed

from bedside.core.contract import Declared
from bedside.core.errors import BadInput
from bedside.foreign import metadata
from bedside.foreign import normalise as n
from bedside.foreign.tree import Net
from bedside.foreign.understand import understand


def _vector(builder, offsets):
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _table(builder, slots):
    """A table of {slot: (kind, value)}."""
    builder.StartObject(max(slots) + 1)
    for slot, (kind, value) in slots.items():
        if kind == "offset":
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            builder.PrependUint8Slot(slot, value, 0)
    return builder.EndObject()


def described(mean, std, colour=1, labels="names.txt") -> bytes:
    """ModelMetadata as TensorFlow's metadata_schema.fbs lays it out."""
    b = flatbuffers.Builder(512)
    means, stds = b.CreateNumpyVector(np.float32(mean)), b.CreateNumpyVector(np.float32(std))
    options = _table(b, {0: ("offset", means), 1: ("offset", stds)})
    unit = _table(b, {0: ("byte", 1), 1: ("offset", options)})  # NormalizationOptions
    units = _vector(b, [unit])
    properties = _table(b, {0: ("byte", colour)})
    content = _table(b, {0: ("byte", 2), 1: ("offset", properties)})  # ImageProperties
    image = _table(b, {3: ("offset", content), 4: ("offset", units)})
    inputs = _vector(b, [image])
    name = b.CreateString(labels)
    file = _table(b, {0: ("offset", name), 2: ("byte", 2)})  # TENSOR_AXIS_LABELS
    files = _vector(b, [file])
    scores = _table(b, {6: ("offset", files)})
    outputs = _vector(b, [scores])
    graph = _table(b, {2: ("offset", inputs), 3: ("offset", outputs)})
    graphs = _vector(b, [graph])
    text = b.CreateString("Lesions, by hand")
    root = _table(b, {1: ("offset", text), 3: ("offset", graphs)})
    b.Finish(root, file_identifier=b"M001")
    return bytes(b.Output())


def with_metadata(model: bytes, content: bytes) -> bytes:
    import ai_edge_litert.schema_py_generated as s

    tree = s.ModelT.InitFromObj(s.Model.GetRootAs(model))
    tree.buffers.append(s.BufferT(np.frombuffer(content, np.uint8)))
    item = s.MetadataT()
    item.name, item.buffer = "TFLITE_METADATA", len(tree.buffers) - 1
    tree.metadata = [item]
    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def found_in(tmp_path, data):
    file = tmp_path / "net.tflite"
    file.write_bytes(data)
    return metadata.find(file, data, Net(data, "net.tflite"))


def test_the_models_metadata_gives_range_colour_and_the_labels_file(tmp_path):
    model = with_metadata(network(channels=3, scale=2.0, offset=-1.0),
                          described([127.5] * 3, [127.5] * 3))
    both = packed(packed(model, "one\ntwo\n", "other_labels.txt"), "dark\nbright\n", "names.txt")
    found = found_in(tmp_path, both)
    assert found.labels == ("dark", "bright") and "names.txt" in found.labels_from
    assert found.mean == (127.5,) * 3 and found.std == (127.5,) * 3 and found.colour == "rgb"
    assert found.description == "Lesions, by hand"
    done = n.normalise(understand(tmp_path / "net.tflite", Declared(resize="crop")))
    assert done.contract.classes == ("dark", "bright")
    assert done.contract.input_range == (0.0, 255.0) and done.contract.mean == (127.5,) * 3
    assert done.contract.preprocess.resize == "bilinear-crop"
    # Kept, and true of the new file: a reader that obeys it scales no second time.
    again = found_in(tmp_path, done.content)
    assert again.mean == (0.0,) * 3 and again.std == (1.0,) * 3
    assert again.labels == ("dark", "bright") and again.description == "Lesions, by hand"


def test_what_is_declared_wins_over_the_metadata(tmp_path):
    file = tmp_path / "net.tflite"
    file.write_bytes(packed(with_metadata(network(), described([127.5], [127.5], 2)), "a\nb\n",
                            "names.txt"))
    told = understand(file, Declared(("dark", "bright"), (0.0, 1.0), resize="stretch")).told
    assert told.classes == ("dark", "bright") and told.input_range == (0.0, 1.0) and told.mean == ()
    assert told.origin["classes"] == told.origin["input_range"] == "declared"


@pytest.mark.parametrize(("text", "names"), [
    ("a\nb\n", ("a", "b")), ("a\r\nb", ("a", "b")), ("\ufeffa\nb\n\n", ("a", "b")),
    ("0 benign\n1 malignant\n", ("benign", "malignant")),
    ("0 a\n2 b\n", ("0 a", "2 b")), ("stage 1\nstage 2", ("stage 1", "stage 2"))])
def test_labels_files_are_read_as_they_are_written(text, names):
    assert metadata.parse_labels(text.encode()) == names


def test_a_labels_file_beside_the_model_is_found(tmp_path):
    (tmp_path / "labels.txt").write_text("0 dark\n1 bright\n")
    found = found_in(tmp_path, network())
    assert found.labels == ("dark", "bright") and found.labels_from == "labels.txt beside the model"


@pytest.mark.parametrize("text", ["a\n", "a\nb\nc\n", "a\na\n", "a\n\nb\n"])
def test_a_labels_file_that_does_not_fit_is_refused(tmp_path, text):
    (tmp_path / "labels.txt").write_text(text)
    file = tmp_path / "net.tflite"
    file.write_bytes(network())
    with pytest.raises(BadInput, match=r"labels\.txt") as caught:
        understand(file, Declared(input_range=(0.0, 1.0), resize="stretch"))
    assert "--model-classes" in caught.value.message


def test_damaged_metadata_is_refused_in_words(tmp_path):
    content = bytearray(described([1.0], [1.0]))
    content[0:4] = b"\xff\xff\xff\x7f"
    with pytest.raises(BadInput, match="TFLITE_METADATA does not read"):
        found_in(tmp_path, with_metadata(network(), bytes(content)))
    broken = packed(network(), "dark\nbright\n")
    start = broken.index(b"dark\nbright")
    with pytest.raises(BadInput, match=r"packed labels\.txt does not read"):
        found_in(tmp_path, broken[:start] + b"XXXX" + broken[start + 4:])


def test_packed_files_that_unpack_to_too_much_are_refused(tmp_path):
    import io
    import zipfile

    out = io.BytesIO(network())
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "dark\nbright\n")
        archive.writestr("zeros.bin", bytes(metadata.MAX_PACKED_BYTES + 1))
    file = tmp_path / "net.tflite"
    file.write_bytes(out.getvalue())
    with pytest.raises(BadInput, match="packed files do not read"):
        n.normalise(understand(file, Declared(input_range=(0.0, 1.0), resize="fit")))
