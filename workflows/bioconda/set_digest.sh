#!/usr/bin/env bash
# Write the version and the digest of a source archive, as `python -m build --sdist` makes it, into the recipe.
# Usage: set_digest.sh dist/imputevae-VERSION.tar.gz
set -euo pipefail

archive=${1:?usage: set_digest.sh dist/imputevae-VERSION.tar.gz}
recipe=$(dirname "${BASH_SOURCE[0]}")/meta.yaml
version=${archive##*/imputevae-} digest=$(sha256sum "$archive")
sed -i "s/^\({% set version = \"\).*\(\" %}\)/\1${version%.tar.gz}\2/; s/^\(  sha256: \).*/\1${digest%% *}/" "$recipe"
