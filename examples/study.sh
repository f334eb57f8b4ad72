#!/usr/bin/env bash
# The study of study.toml as one command.
set -euo pipefail
data=${1:-../shared/data/busi}
bedside run "$data" --out runs/breast --merge other=benign,normal \
  --split-file "$data/official_split.csv" --regroup \
  --model efficientnet_lite0 --model resnet34
