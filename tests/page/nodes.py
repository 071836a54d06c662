"""Node, which runs the page's script on what Python writes; where it is missing the tests that need it skip."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "probe" / "pages" / "page"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")

_MAIN = """
import { readFileSync } from "node:fs";
import * as page from "PAGE/model.js";
import * as layers from "PAGE/model_layers.js";
import * as surgery from "PAGE/model_surgery.js";
import * as training from "PAGE/model_training.js";
import * as images from "PAGE/model_images.js";
const { Network, decodePayload, Random, edited, Trainer, evaluated } = { ...page, ...surgery, ...training };
const given = await decodePayload(JSON.parse(readFileSync("GIVEN", "utf8")));
const row = ({ values, shape }, i) => values.subarray(i * (values.length / shape[0]), (i + 1) * (values.length / shape[0]));
const plain = (key, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
const answer = await (async () => { BODY })();
process.stdout.write(JSON.stringify(answer, plain));
"""


def run_node(folder, body, **given):
    """Return what the body of a function in JavaScript returns for `given`, which it finds decoded."""
    (folder / "given.json").write_text(json.dumps(given))
    main = _MAIN.replace("PAGE", PAGE.as_uri()).replace("GIVEN", (folder / "given.json").as_posix())
    (folder / "main.mjs").write_text(main.replace("BODY", body))
    command = [NODE, str(folder / "main.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
