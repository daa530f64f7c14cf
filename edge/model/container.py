"""The container of both kinds of bundle: a manifest and arrays in a ZIP, every byte that matters under a hash.

`stibium/manifest.json` has the hash of `stibium/arrays.npz`, the ZIP's comment that of the manifest. What a bundle puts
in front of the ZIP (a flatbuffer, which any interpreter then loads) has its hash in the manifest as well.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError, StibiumError

MANIFEST = "stibium/manifest.json"
ARRAYS = "stibium/arrays.npz"
SPECTRA, ORE = "stibium bundle", "stibium ore bundle"
_KINDS = {
    SPECTRA: "a model for spectra, no ore bundle; `stibium predict` takes it",
    ORE: "an ore model, for blocks and not for spectra; `stibium ore predict` takes it",
}
T = TypeVar("T")
Build = Callable[[dict[str, Any], dict[str, NDArray[Any]], bytes, str], T]
"""Manifest, arrays, what stands in front of the ZIP, the file's SHA-256 -> bundle."""


def pack(kind: str, version: int, manifest: Mapping[str, Any], arrays: Mapping[str, Any], front: bytes = b"") -> bytes:
    """Return the bytes of a bundle file; the same bundle always gives the same bytes."""
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    whole = {"format": kind, "version": version, **manifest, "arrays_sha256": _sha256(packed.getvalue())}
    if front:
        whole["model"] = {"bytes": len(front), "sha256": _sha256(front)}
    text = json.dumps(whole, indent=1, sort_keys=True, allow_nan=False).encode()
    out = io.BytesIO(front)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = f"{kind} {_sha256(text)}".encode()
        for name, data in ((MANIFEST, text), (ARRAYS, packed.getvalue())):
            # A fixed date, so that the same bundle is the same file.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def is_of_kind(path: str, kind: str) -> bool:
    """Say whether a file ends as a bundle of a kind does; False for one that cannot be read."""
    try:
        return f"{kind} ".encode() in Path(path).read_bytes()[-512:]
    except OSError:
        return False


def read(path: str, unpack_bytes: Callable[[bytes, str], T]) -> T:
    """Read a bundle file and verify every hash in it.

    Raises:
        BundleError: no such file, no bundle, damaged, or of a version this program does not know.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; name a bundle with --model") from error
    try:
        return unpack_bytes(content, path)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def unpack(kind: str, versions: Sequence[int], content: bytes, build: Build[T]) -> T:
    """Take a bundle file's bytes apart.

    Args:
        kind: `SPECTRA` or `ORE`.
        versions: that this program reads, ascending.
        content: of the file.
        build: makes the bundle.

    Raises:
        BundleError: no bundle of the kind, damaged, or of a version this program does not know.
    """
    text, packed = _members(kind, content)
    try:
        manifest = json.loads(text)
        if manifest["format"] != kind:
            raise BundleError(f"a {manifest['format']}, no {kind.removeprefix('stibium ')}")
        if manifest["version"] not in versions:
            raise BundleError(
                f"{kind.removeprefix('stibium ')} version {manifest['version']}; this program reads up to version "
                f"{versions[-1]}: update stibium or export again"
            )
        front = b""
        if kind == SPECTRA:
            front = content[: manifest["model"]["bytes"]]
            if _sha256(front) != manifest["model"]["sha256"]:
                raise BundleError("damaged: the model does not match its hash; copy it again")
        if _sha256(packed) != manifest["arrays_sha256"]:
            raise BundleError("damaged: the arrays do not match their hash; copy it again")
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            return build(manifest, dict(arrays), front, _sha256(content))
    except StibiumError as error:
        raise error if isinstance(error, BundleError) else BundleError(str(error)) from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BundleError(f"the manifest is not as this program knows it ({error!r}); export again") from error


def _members(kind: str, content: bytes) -> tuple[bytes, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            comment = archive.comment.decode("latin-1")
            text, packed = archive.read(MANIFEST), archive.read(ARRAYS)
    except Exception as error:
        # zlib raises its own class for a damaged stream; it is not worth importing for its name.
        if content[4:8] == b"TFL3" and b"stibium " not in content[-512:]:
            raise BundleError(
                "a TFLite model without stibium's manifest, or cut short; export one with `stibium export`"
            ) from error
        raise BundleError(f"damaged, or no {kind} ({error}); copy it again") from error
    digest = _sha256(text)
    for other, said in _KINDS.items():
        if other != kind and comment == f"{other} {digest}":
            raise BundleError(said)
    if comment != f"{kind} {digest}":
        raise BundleError("damaged: the manifest does not match its hash; copy it again")
    return text, packed


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
