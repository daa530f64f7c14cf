"""The container of both kinds of bundle: a manifest and arrays in a ZIP, every byte that matters under a hash.

`stibium/manifest.json` has the hash of `stibium/arrays.npz`, the ZIP's comment that of the manifest. What a bundle puts
in front of the ZIP (a flatbuffer, which any interpreter then loads) has its hash in the manifest as well.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.files import opened
from ..errors import BundleError, StibiumError

MANIFEST = "stibium/manifest.json"
ARRAYS = "stibium/arrays.npz"
PINS_ENVIRONMENT_VARIABLE = "STIBIUM_MODEL_SHA256"
MOST_BYTES = 128 << 20
"""Of a bundle, and of what its ZIP unpacks to; the largest network that was ever exported here has a tenth of it."""
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
    text = json.dumps(whole, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
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
        with opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 512))
            return f"{kind} ".encode() in file.read(512)
    except StibiumError:
        return False


def read(path: str, unpack_bytes: Callable[[bytes, str], T]) -> T:
    """Read a bundle file and verify every hash in it.

    Raises:
        BundleError: no such file, no bundle, damaged, or of a version this program does not know.
    """
    try:
        with opened(path) as file:
            content = file.read(MOST_BYTES + 1)
    except StibiumError as error:
        raise BundleError(f"{error}; name the file of a bundle") from error
    if len(content) > MOST_BYTES:
        raise BundleError(f"{path}: more than {MOST_BYTES >> 20} MiB, which no model of this program has")
    try:
        _require_pinned(_sha256(content))
        return unpack_bytes(content, path)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def pins() -> frozenset[str]:
    """Give the SHA-256 of the files that `STIBIUM_MODEL_SHA256` allows, separated by commas; none for any file.

    Raises:
        BundleError: the variable holds something else.
    """
    pinned = [pin.strip().lower() for pin in os.environ.get(PINS_ENVIRONMENT_VARIABLE, "").split(",")]
    wrong = [pin for pin in pinned if pin and not re.fullmatch("[0-9a-f]{64}", pin)]
    if wrong:
        raise BundleError(
            f"{PINS_ENVIRONMENT_VARIABLE} has {wrong[0][:80]!r}, which is no SHA-256 of 64 digits, so no model is "
            "loaded; `stibium info` prints a model's"
        )
    return frozenset(filter(None, pinned))


def _require_pinned(sha256: str) -> None:
    pinned = pins()
    if pinned and sha256 not in pinned:
        raise BundleError(
            f"SHA-256 {sha256} is not one of the {len(pinned)} that {PINS_ENVIRONMENT_VARIABLE} allows on this device; "
            "use the model that was meant, or add this one to /etc/stibium/stibium.env"
        )


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
        manifest = json.loads(text, parse_constant=_no_number, parse_float=_finite)
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
        with np.load(io.BytesIO(packed), allow_pickle=False) as loaded:
            arrays = dict(loaded)
        if not all(array.dtype.kind in "fiub" for array in arrays.values()):
            raise ValueError("an array that holds no numbers")
        return build(manifest, arrays, front, _sha256(content))
    except StibiumError as error:
        raise error if isinstance(error, BundleError) else BundleError(str(error)) from error
    except MemoryError as error:
        raise BundleError("an array that does not fit into memory; export it again") from error
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, OSError) as error:
        raise BundleError(f"the manifest is not as this program knows it ({error!r}); export again") from error


def require_known(manifest: Mapping[str, Any], always: Sequence[str], sections: Sequence[str]) -> None:
    """Refuse a manifest with a key that is neither always there nor a section that may be; raises BundleError."""
    if unknown := sorted(set(manifest) - {*always, *sections}):
        raise BundleError(
            f"its section {unknown[0]!r} is unknown to this program, and its answers depend on it; update stibium"
        )


def _members(kind: str, content: bytes) -> tuple[bytes, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            comment = archive.comment.decode("latin-1")
            _require_bounded(archive)
            text, packed = archive.read(MANIFEST), archive.read(ARRAYS)
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            _require_bounded(archive)
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


def _require_bounded(archive: zipfile.ZipFile) -> None:
    # A member is read to the length that is announced, so this holds.
    if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
        raise ValueError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text[:40]} is no number")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
