"""A bundle's ``model.onnx``: what answers without TensorFlow, and what is refused before it is run."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from ser_kit import cli
from ser_kit.bundles import runtime
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.presets import preset_names, preset_path
from ser_kit.core.errors import BundleError, NoRuntimeWarning
from ser_kit.inference.predictor import DEFAULT_PRESET, Predictor

RATE = 16000
FACTS = {"labels": ["a", "b"], "rate": RATE, "bundle": "0" * 32, "encoder": ""}


def sounds(seconds=(0.1, 0.6, 2.0, 8.0), seed=0):
    rng = np.random.default_rng(seed)
    for length in seconds:
        n = round(length * RATE)
        envelope = 0.05 + np.abs(np.sin(np.linspace(0, 3 * length, n)))
        yield (0.1 * envelope * rng.normal(size=n)).astype(np.float32)


def model(nodes=(), constants=(), *, facts=FACTS, domain="", attributes=None):
    """A file that gives each of two labels a half of the time, and what else a test puts in."""
    shape = helper.make_tensor_value_info("samples", TensorProto.FLOAT, [1, None])
    found = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 2])
    half = numpy_helper.from_array(np.full((1, 2), 0.5, np.float32), "half")
    said = helper.make_node("Identity", ["half"], ["probabilities"], **(attributes or {}))
    graph = helper.make_graph([*nodes, said], "g", [shape], [found], [half, *constants])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 18)])
    made.ir_version = 9
    for key, value in facts.items():
        made.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    return made


def content(made):
    return made.SerializeToString()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A preset in a folder that a test may look into, but not change."""
    folder = tmp_path_factory.mktemp("runtime") / "bundle"
    shutil.copytree(preset_path("cross_corpus_small"), folder)
    return folder


@pytest.fixture
def copied(own, tmp_path):
    return shutil.copytree(own, tmp_path / "bundle")


class TestAnswers:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", preset_names())
    def test_every_preset_has_a_file_that_answers_as_its_networks(self, name):
        fast, slow = Bundle.load(preset_path(name)), Bundle.load(preset_path(name), networks=True)
        assert fast.runtime is not None and slow.runtime is None and fast.identity == slow.identity
        (extractor,) = slow.extractors
        for samples in sounds():
            values = {extractor: extractor.extract((samples, RATE))[None]}
            said, places = fast.runtime.run(samples), slow.places(values)
            np.testing.assert_allclose(said.probabilities, slow.probabilities(values)[0], atol=1e-4)
            assert said.sharpness == pytest.approx(places.sharpness[0], rel=1e-3)
            assert said.corpus == places.corpus[0]
        assert slow.card["runtime"]["difference"] <= 1e-4

    def test_threads_give_the_same_answers(self, own):
        one, many = runtime.Runtime.open(own / runtime.FILE), list(sounds((0.5, 1.0, 1.5, 2.0) * 4))
        alone = [one.run(samples).probabilities for samples in many]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda samples: one.run(samples).probabilities, many))
        np.testing.assert_array_equal(alone, together)

    def test_it_goes_to_other_processes_and_answers_after_a_fork(self, own):
        one, (samples,) = runtime.Runtime.open(own / runtime.FILE), sounds((1.0,))
        expected = one.run(samples).probabilities
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).run(samples).probabilities, expected)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            found = pool.apply_async(one.run, (samples,)).get(timeout=60)
        np.testing.assert_array_equal(found.probabilities, expected)

    def test_a_pickled_predictor_answers_alike_and_builds_no_network(self, own):
        predictor, (samples,) = Predictor.from_bundle(own), sounds((1.0,))
        again = pickle.loads(pickle.dumps(predictor))
        assert again.predict((samples, RATE)) == predictor.predict((samples, RATE))
        assert again.bundle.members._found == predictor.bundle.members._found == ()
        assert len(again.bundle.members[0].model.layers) > 1, "they can still be had"
        assert pickle.loads(pickle.dumps(again)).predict((samples, RATE)) == predictor.predict((samples, RATE))

    def test_a_changed_card_is_answered_for_by_the_networks(self, own):
        bundle = Bundle.load(own)
        (samples,) = sounds((1.0,))
        predictor = Predictor(bundle)
        warmer = Predictor(Bundle({**bundle.card, "temperature": 5.0}, bundle.members, bundle.runtime))
        said, softer = predictor.predict((samples, RATE)), warmer.predict((samples, RATE))
        assert softer.emotion == said.emotion and softer.confidence < said.confidence

    def test_what_was_loaded_is_saved_with_its_file(self, own, tmp_path):
        Bundle.load(own).save(tmp_path / "again")
        assert (tmp_path / "again" / runtime.FILE).read_bytes() == (own / runtime.FILE).read_bytes()
        assert Bundle.load(tmp_path / "again").identity == Bundle.load(own).identity

    def test_a_bundle_keeps_its_file_where_no_new_one_can_be_made(self, copied, monkeypatch, capsys):
        before = {path.name: path.read_bytes() for path in copied.iterdir()}
        monkeypatch.setattr("ser_kit.deploy.exporter.serving_module", lambda *args, **options: None)
        monkeypatch.setitem(sys.modules, "tf2onnx", None)
        assert cli.main(["export", str(copied), "--format", "bundle", "--corpus", "demo", "--quiet"]) == 2
        assert "tf2onnx" in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in copied.iterdir()} == before

    def test_without_onnxruntime_the_networks_answer_and_it_is_said(self, own, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.warns(NoRuntimeWarning, match="pip install onnxruntime"):
            bundle = Bundle.load(own)
        assert bundle.runtime is None and len(bundle.members) == 1


class TestFilesOfBundles:
    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda file: file.unlink(), "model.onnx is missing"),
            (lambda file: file.write_bytes(file.read_bytes()[:-100]), "not the file that card.json describes"),
            (lambda file: file.write_bytes(bytes(200 << 20)), "or over"),
            (lambda file: (file.unlink(), file.mkdir()), "no regular file"),
        ],
    )
    def test_a_spoilt_file_is_refused_and_named(self, copied, spoil, reason):
        spoil(copied / runtime.FILE)
        with pytest.raises(BundleError, match=f"(?s){reason}.*ser-kit export .* --format bundle"):
            Bundle.load(copied)
        Bundle.load(copied, networks=True)  # from which a new one can be made

    def test_that_of_another_bundle_is_refused_though_the_card_names_its_digest(self, copied):
        other = preset_path("from_scratch")
        shutil.copy(other / runtime.FILE, copied / runtime.FILE)
        card = json.loads((copied / "card.json").read_text())
        card["runtime"] = json.loads((other / "card.json").read_text())["runtime"]
        (copied / "card.json").write_text(json.dumps(card))
        with pytest.raises(BundleError, match="model.onnx was made from another bundle than card.json describes"):
            Bundle.load(copied)

    def test_a_card_that_was_changed_is_refused(self, copied):
        card = json.loads((copied / "card.json").read_text())
        card["temperature"] = 3.0
        (copied / "card.json").write_text(json.dumps(card))
        with pytest.raises(BundleError, match="made from another bundle than card.json describes"):
            Bundle.load(copied)


class TestHostileFiles:
    def test_an_honest_one_is_taken(self):
        assert runtime.Runtime(content(model())).run(np.zeros(RATE, np.float32)).probabilities.tolist() == [0.5, 0.5]

    @staticmethod
    def with_graph():
        inner = helper.make_graph([], "inner", [], [])
        return model([helper.make_node("If", ["half"], ["x"], then_branch=inner, else_branch=inner)])

    @staticmethod
    def with_hidden_graph():
        return model(attributes={"body": helper.make_graph([], "inner", [], [])})

    @staticmethod
    def with_outside_data():
        made = model(constants=[numpy_helper.from_array(np.zeros(3, np.float32), "outside")])
        held = made.graph.initializer[1]
        held.ClearField("raw_data")
        held.data_location = TensorProto.EXTERNAL
        held.external_data.add(key="location", value="/etc/passwd")
        return made

    @staticmethod
    def with_functions():
        made = model()
        made.functions.add(name="f", domain="mine")
        return made

    @staticmethod
    def with_too_few_numbers():
        made = model(constants=[numpy_helper.from_array(np.zeros(3, np.float32), "few")])
        made.graph.initializer[1].dims[0] = 10**12
        return made

    @staticmethod
    def with_sparse_constants():
        made = model()
        made.graph.sparse_initializer.add()
        return made

    @staticmethod
    def with_texts():
        return model(constants=[helper.make_tensor("t", TensorProto.STRING, [1], [b"text"])])

    @staticmethod
    def with_a_large_length():
        length = numpy_helper.from_array(np.array([10**11]), "length")
        return model([helper.make_node("ConstantOfShape", ["length"], ["x"])], [length])

    @staticmethod
    def with_a_large_attribute():
        return model([helper.make_node("Split", ["half"], ["x"], num_outputs=10**9)])

    @staticmethod
    def with_many_nodes():
        return model([helper.make_node("Identity", ["half"], [f"x{i}"]) for i in range(20_001)])

    @staticmethod
    def of_another_domain():
        return model([helper.make_node("Gelu", ["half"], ["x"], domain="com.microsoft")])

    @staticmethod
    def on_an_unknown_encoder():
        return model(facts=FACTS | {"encoder": "../../secrets"})

    @staticmethod
    def without_labels():
        return model(facts={key: FACTS[key] for key in ("rate", "bundle", "encoder")})

    @staticmethod
    def with_two_graphs():
        return content(model()) + content(model())

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            ("with_graph", "uses the operator If; not allowed"),
            ("with_hidden_graph", "holds a graph or similar"),
            ("with_outside_data", "holds a constant .* of external data"),
            ("with_functions", "part of kind 25"),
            ("with_too_few_numbers", "holds a constant 'few' of 3 numbers; its shape needs 1,000,000,000,000"),
            ("with_sparse_constants", "part of kind 15 in its graph"),
            ("with_texts", "of external data or text"),
            ("with_a_large_length", "holds a number beyond 10,000,000 in its constant 'length'"),
            ("with_a_large_attribute", "holds a number beyond 10,000,000 in a node Split"),
            ("with_many_nodes", "more than 20,000 nodes"),
            ("of_another_domain", "uses the operator com.microsoft.Gelu"),
            ("on_an_unknown_encoder", "which this ser_kit does not have"),
            ("without_labels", "truncated, or not an ONNX file"),
            ("with_two_graphs", "holds 2 graphs"),
        ],
    )
    def test_it_is_refused_before_the_runtime_sees_it(self, make, reason, monkeypatch):
        made = getattr(self, make)()
        monkeypatch.setattr(runtime, "_session", lambda *_: pytest.fail("the runtime saw it"))
        with pytest.raises(BundleError, match=reason):
            runtime.Runtime(made if isinstance(made, bytes) else content(made))

    def test_what_would_take_too_much_memory_is_an_error_and_takes_none(self):
        one = numpy_helper.from_array(np.array([9_999_999, 9_999_999]), "shape")
        nodes = [helper.make_node("ConstantOfShape", ["shape"], ["x"]), helper.make_node("ReduceSum", ["x"], ["y"])]
        nodes += [helper.make_node("Add", ["half", "y"], ["z"])]
        with pytest.raises(BundleError, match="cannot be run") as raised:
            runtime.Runtime(content(model(nodes, [one]))).run(np.zeros(RATE, np.float32))
        assert len(str(raised.value)) < 500

    @pytest.mark.parametrize("said", [[[np.nan, 0.5]], [[-1.0, 2.0]], [[0.0, 0.0]], [[np.inf, 1.0]], [[0.2, 0.3, 0.5]]])
    def test_what_are_no_probabilities_is_an_error(self, said):
        made = model()
        made.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(said, np.float32), "half"))
        made.graph.output[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
        with pytest.raises(BundleError, match="gives no probabilities for 2 labels|expected 2 probabilities"):
            runtime.Runtime(content(made)).run(np.zeros(RATE, np.float32))

    @pytest.mark.parametrize("outputs", [["probabilities"], ["other"]])
    def test_other_inputs_and_outputs_are_refused(self, outputs):
        made = model()
        if outputs == ["other"]:
            made.graph.output[0].name = made.graph.node[0].output[0] = "other"
        else:
            made.graph.input[0].name = "sound"
        with pytest.raises(BundleError, match=r"expected samples|expected \d+ probabilities"):
            runtime.Runtime(content(made))

    @given(st.binary(max_size=300))
    def test_noise_is_refused(self, noise):
        with pytest.raises(BundleError):
            runtime.facts(noise)

    @given(st.data())
    def test_no_changed_byte_ends_in_anything_but_an_answer_or_a_refusal(self, data):
        spoilt = bytearray(content(model()))
        for _ in range(data.draw(st.integers(1, 4))):
            spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
        try:
            runtime.facts(bytes(spoilt[: data.draw(st.integers(0, len(spoilt)))]))
        except BundleError as error:
            assert str(error).startswith("model.onnx ")


class TestEncoderWeights:
    def test_they_complete_a_file(self):
        whole = onnx.load_from_string(content(model()) + b"".join(runtime.encoder_weights("whisper_tiny_en")))
        held = {each.name: numpy_helper.to_array(each) for each in whole.graph.initializer}
        wanted = dict(runtime.quantised("whisper_tiny_en"))
        assert {*held} == {"half", *wanted}
        for name, values in wanted.items():
            np.testing.assert_array_equal(held[name], values)


SMALL = """
import sys
class OnlyThese:
    allowed = {"lazy_loader", "numpy", "soundfile", "_soundfile", "_soundfile_data", "cffi", "_cffi_backend", "av",
               "soxr",
               "onnxruntime", "rich", "pygments", "markdown_it", "mdurl", "typing_extensions", "ser_kit",
               "google", "flatbuffers", "packaging"} | set(sys.stdlib_module_names)
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed and not name.startswith("__editable__"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, OnlyThese())
import numpy as np, soundfile
from ser_kit.cli import main
folder = sys.argv[1]
t = np.arange(48000) / 16000
for i in range(3):
    x = 0.1 * np.sin(2 * np.pi * (150 + 20 * i) * t + 5 * np.sin(9 * t)) * (1 + np.sin((12 + 4 * i) * t))
    soundfile.write(f"{folder}/{i}.wav", x, 16000)
for arguments in (["predict", folder], ["predict", folder, "--json", "--timeline"], ["corpora"],
                  ["predict", folder, "--out", folder + "/answers.csv"],
                  ["predict", folder, "--bundle", "from_scratch"],
                  ["predict", folder, "--bundle", "cross_corpus_small", "--csv"]):
    assert main(arguments) == 0, arguments
assert main(["train", "rastogi_mlp", "--corpus", "demo", "--out", folder + "/bundle"]) == 2
"""


@pytest.mark.slow
def test_a_small_installation_can_predict_and_says_what_it_cannot_do(tmp_path):
    """lazy_loader, numpy, soundfile, av, soxr, onnxruntime and rich, and what these need, are enough."""
    run = subprocess.run([sys.executable, "-c", SMALL, str(tmp_path)], capture_output=True, text=True, env=os.environ)
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[-1].startswith("ser-kit: this command needs pandas")
    assert run.stdout.count("confidence") >= 5 and "0.wav" in run.stdout


HEAVY = "tensorflow keras librosa sklearn pandas matplotlib pyarrow numba scipy"
SCRIPTS = {
    "predictor": "from ser_kit import Predictor; Predictor.from_preset().predict((x, 16000))",
    "stream": "from ser_kit.inference.stream import StreamPredictor; from ser_kit import Predictor\n"
    "s = StreamPredictor(Predictor.from_preset(), sr=16000); list(s.feed(x)); list(s.flush())",
    "adapt": "from ser_kit import Predictor\n"
    "p = Predictor.from_preset()\n"
    "p.with_observations([*p_observed(p, x), *p_observed(p, x[::-1].copy())]).predict((x, 16000))",
    "command": "import soundfile, tempfile, os; from ser_kit.cli import main\n"
    "f = os.path.join(tempfile.mkdtemp(), 'a.wav'); soundfile.write(f, x, 16000); main(['predict', f, '--quiet'])",
    "help": "import contextlib; from ser_kit.cli import main\nwith contextlib.suppress(SystemExit): main(['--help'])",
    "corpora": "from ser_kit.cli import main\nmain(['corpora'])",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_is_imported_that_is_not_needed(name):
    before = (
        "import sys, numpy as np\n"
        "from ser_kit.audio import read_audio\n"
        "from ser_kit.inference import predictor\n"
        "t = np.arange(48000) / 16000\n"
        "x = (0.1 * np.sin(2 * np.pi * 150 * t + 5 * np.sin(9 * t)) * (1 + np.sin(20 * t))).astype('float32')\n"
        "def p_observed(p, x):\n"
        "    piece = read_audio((x, 16000))\n"
        "    return [predictor.Observation.of(piece, p.predict_window(piece))]\n"
    )
    after = f"\nprint([each for each in {HEAVY.split()} if each in sys.modules], file=sys.stderr)"
    run = subprocess.run(
        [sys.executable, "-c", before + SCRIPTS[name] + after],
        capture_output=True,
        text=True,
        env=os.environ,
        check=True,
    )
    assert run.stderr.splitlines()[-1] == "[]"


def test_the_default_preset_is_among_those_that_answer_fast():
    assert Bundle.load(preset_path(DEFAULT_PRESET)).runtime is not None
