#!/usr/bin/env bash
# Six checks by name, in a folder of their own: ./test_classifier.sh
# PYTHON chooses the interpreter, MODEL what is trained (a small network from scratch, so that nothing is downloaded).
set -uo pipefail
python="${PYTHON:-python3}"
model="${MODEL:-scratch}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp "$(dirname "$0")"/*.py "$work"
cd "$work" || exit 1
failed=0

check() {
    local name="$1"
    shift
    if "$@" >log.txt 2>&1; then
        echo "ok    $name"
    else
        echo "FAIL  $name"
        cat log.txt
        failed=1
    fi
}

data() {
    "$python" classifier.py --generate-data --samples 64 --size 32 && test -f sample.jpg &&
        test "$(find data -name '*.png' | wc -l)" -eq 64
}

build_model() {
    "$python" - <<'PYTHON'
import torch
from obverse.models import build_classifier
from obverse.recipe import ConvNetBackbone, ModelSpec

model = build_classifier(ModelSpec(backbone=ConvNetBackbone()), num_views=1, num_classes=8, height=32, width=32)
assert model(torch.rand(2, 1, 3, 32, 32), torch.ones(2, 1, dtype=torch.bool)).shape == (2, 8)
PYTHON
}

two_epochs() {
    "$python" train.py --epochs 2 --batch-size 16 --model "$model" && grep -q "epoch 2 " log.txt
}

save_and_load() {
    "$python" - <<'PYTHON'
import shutil
import obverse
from classifier import newest_run

before = obverse.load(newest_run()).predict("sample.jpg")
shutil.copytree(newest_run() / "bundle", "moved")
assert obverse.load("moved").predict("sample.jpg") == before
PYTHON
}

inference() {
    "$python" predict.py --image sample.jpg --top-k 3 && test "$(grep -c '%$' log.txt)" -eq 3 && test -s prediction.png
}

batch_prediction() {
    "$python" predict.py --image data sample.jpg --top-k 1 && test "$(grep -c '%$' log.txt)" -eq 66
}

check "data" data
check "model" build_model
check "two epochs of training" two_epochs
check "save and load" save_and_load
check "inference" inference
check "batch prediction" batch_prediction
exit "$failed"
