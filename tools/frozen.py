"""The 32-bit Unix MicroPython with the firmware frozen: code and constants as on a board.

    python -m tools.frozen     builds it and prints what starts it

The Unix port of Debian's source package (see port.py), with the settings of Debian's own i386
build but for three things that no code of ours needs: Java's interface and the frozen modules mip
and requests are left out. Headers and libraries are Debian's i386 packages, unpacked into a
private folder as the runtime's are, so that only a compiler for this machine has to be installed.
"""

from __future__ import annotations

from pathlib import Path

from tools import cli, debian, port
from tools.runtime import (
    FIRMWARE,
    PACKAGES,
    PROJECT,
    SUITE,
    Runtime,
    RuntimeMissing,
    cache_dir,
    loaded,
    probe,
)

COMPILER = "gcc"
GCC = "14"  # whose libgcc Debian's suite has
DEVELOPMENT = ("libc6-dev", "linux-libc-dev", f"libgcc-{GCC}-dev", "libmbedtls-dev", "libffi-dev")
BOARD = port.BOARDS / "unix"
BOOT = PROJECT / "tools" / "boot.py"
PROGRAM = "micropython"

INSTALL = f"""frozen code needs {COMPILER} for x86, make, and Debian's apt, which then
fetches the 32-bit headers and libraries into a private folder:
  Debian   apt-get install gcc make apt dpkg debian-archive-keyring
CODE=rom, code in ROMFS, needs none of them."""


def find(beside: Runtime) -> Runtime:
    """The runtime with the firmware frozen, built if it is not there, to stand for ``beside``.

    Raises RuntimeMissing; cli.ToolMissing with what to install.
    """
    if beside.march != "x86":
        raise RuntimeMissing("frozen code has a 32-bit runtime for x86 only")
    cli.need(INSTALL, COMPILER, "make", "apt-get", "dpkg")
    system = _system()
    folder = port.build(
        port.Recipe(
            name="unix",
            compiler=COMPILER,
            manifest=BOARD / "manifest.py",
            inputs=(*port.files(BOARD), Path(__file__)),
            frozen=(port.BOARDS / "thimble.py", BOOT, *port.files(FIRMWARE)),
            settings=_settings(system),
            outputs=(PROGRAM,),
        )
    )
    return probe(loaded("i386", system, folder / PROGRAM), "the build with the firmware frozen")


def _system() -> Path:
    """The folder of a 32-bit system's headers and libraries, downloaded on first use."""
    folder = cache_dir() / f"micropython-{SUITE}-i386-development"
    try:
        debian.unpack(SUITE, "i386", PACKAGES + DEVELOPMENT, folder)
    except debian.FetchError as error:
        raise RuntimeMissing(f"{INSTALL}\n(apt could not fetch them: {error})") from error
    return folder


def _settings(system: Path) -> tuple[str, ...]:
    usr = system / "usr"
    libraries = usr / "lib/i386-linux-gnu"
    gcc = usr / f"lib/gcc/i686-linux-gnu/{GCC}"
    # The bundled mbedTLS is not in the package: the port's makefile is told of none, its C code
    # that there is one.
    compiler = (
        f"--sysroot={system} -march=i686 -isystem {usr / 'include/i386-linux-gnu'}",
        "-DMICROPY_SSL_MBEDTLS=1",
        f"-DMBEDTLS_USER_CONFIG_FILE='\"{BOARD / 'mbedtls.h'}\"'",
        "-DMICROPY_FLOAT_USE_NATIVE_FLT16=0",  # it would need SSE2
    )
    linker = (
        f"--sysroot={system} -B{libraries} -B{gcc} -L{libraries} -L{gcc} -static-libgcc",
        "-lmbedx509 -lmbedtls -lmbedcrypto",
    )
    return (
        "MICROPY_FORCE_32BIT=1",
        "MPY_CROSS_FLAGS=-march=x86",
        "MICROPY_SSL_MBEDTLS=0",
        "MICROPY_PY_BTREE=0",
        "LIBFFI_CFLAGS=",
        "LIBFFI_LDFLAGS=-lffi",
        f"CFLAGS_EXTRA={' '.join(compiler)}",
        f"LDFLAGS_EXTRA={' '.join(linker)}",
    )


def main() -> None:
    cli.parser("python -m tools.frozen", __doc__).parse_args()
    print(*find(Runtime((), 32, "", "x86")).argv)


if __name__ == "__main__":
    cli.run(main)
