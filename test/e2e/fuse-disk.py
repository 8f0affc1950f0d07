"""A folder passed through FUSE, read-only as long as a file is there: fuse-disk.py REAL MOUNT FILE."""
import errno
import os
import sys

from fusepy import FUSE, FuseOSError, Operations


class FuseDisk(Operations):
    def __init__(self, root, control):
        self.root = root
        self.control = control

    def must_write(self):
        if os.path.exists(self.control):
            raise FuseOSError(errno.EROFS)

    def real(self, path):
        return self.root + path

    def getattr(self, path, handle=None):
        stat = os.lstat(self.real(path)) if handle is None else os.fstat(handle)
        names = ('atime', 'ctime', 'gid', 'mode', 'mtime', 'nlink', 'size', 'uid')
        return {f'st_{name}': getattr(stat, f'st_{name}') for name in names}

    def statfs(self, path):
        stat = os.statvfs(self.real(path))
        names = ('bavail', 'bfree', 'blocks', 'bsize', 'ffree', 'files', 'frsize', 'namemax')
        return {f'f_{name}': getattr(stat, f'f_{name}') for name in names}

    def readdir(self, path, handle):
        return ['.', '..', *os.listdir(self.real(path))]

    def open(self, path, flags):
        if flags & (os.O_WRONLY | os.O_RDWR):
            self.must_write()
        # Where to write is the kernel's to say.
        return os.open(self.real(path), flags & ~os.O_APPEND)

    def create(self, path, mode, info=None):
        self.must_write()
        return os.open(self.real(path), os.O_RDWR | os.O_CREAT, mode)

    def read(self, path, length, offset, handle):
        return os.pread(handle, length, offset)

    def write(self, path, data, offset, handle):
        self.must_write()
        return os.pwrite(handle, data, offset)

    def truncate(self, path, length, handle=None):
        self.must_write()
        os.truncate(self.real(path) if handle is None else handle, length)

    def fsync(self, path, datasync, handle):
        self.must_write()
        return 0

    def fsyncdir(self, path, datasync, handle):
        return self.fsync(path, datasync, handle)

    def release(self, path, handle):
        os.close(handle)

    def link(self, target, source):
        self.must_write()
        os.link(self.real(source), self.real(target))

    def rename(self, old, new):
        self.must_write()
        os.rename(self.real(old), self.real(new))

    def unlink(self, path):
        self.must_write()
        os.unlink(self.real(path))

    def mkdir(self, path, mode):
        self.must_write()
        os.mkdir(self.real(path), mode)

    def rmdir(self, path):
        self.must_write()
        os.rmdir(self.real(path))

    def chmod(self, path, mode):
        self.must_write()
        os.chmod(self.real(path), mode)


if __name__ == '__main__':
    FUSE(FuseDisk(sys.argv[1], sys.argv[3]), sys.argv[2], foreground=True)
