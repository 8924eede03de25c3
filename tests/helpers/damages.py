"""What can happen to a file behind its writer's back: functions of its bytes."""

import io
import zipfile


def flipped(content):
    """One bit in the middle is another: only a checksum can tell."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def another_archive(_):
    """A sound archive of something else."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("read.me", "nothing of the kind")
    return memory.getvalue()


DAMAGES = {
    "empty": lambda content: b"",
    "its first byte": lambda content: content[:1],
    "its first half": lambda content: content[: len(content) // 2],
    "all but its last byte": lambda content: content[:-1],
    "another beginning": lambda content: bytes(64) + content[64:],
    "one bit": flipped,
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"No such file or directory\n",
    "another archive": another_archive,
}
