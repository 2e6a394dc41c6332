"""A file system that passes everything on to a directory, and fails (EIO) in what a file names: "write"; "read", of what was written before that file.

usage: failing_disk.py DIRECTORY MOUNT SWITCH"""
import errno, os, sys
import fusepy

directory, mount, switch = sys.argv[1:]


class Disk(fusepy.Operations):
    def __call__(self, op, path, *args):
        return super().__call__(op, directory + path, *args)

    def fail(self, what, written=0):
        try:
            with open(switch) as file:
                failing = what in file.read().split() and written < os.fstat(file.fileno()).st_mtime_ns
        except FileNotFoundError:
            failing = False
        if failing:
            raise fusepy.FuseOSError(errno.EIO)

    def getattr(self, path, fh=None):
        of = os.lstat(path)
        return {name: getattr(of, name) for name in ("st_atime", "st_ctime", "st_mtime", "st_gid", "st_uid", "st_mode", "st_nlink", "st_size", "st_blocks")}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(path)]

    def create(self, path, mode, fi=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(path, flags & ~os.O_DIRECT)

    def read(self, path, size, offset, fh):
        self.fail("read", os.fstat(fh).st_mtime_ns)
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        self.fail("write")
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(path, length)

    def release(self, path, fh):
        os.close(fh)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def rename(self, old, new):
        os.rename(old, directory + new)

    # Called with the new name first.
    def link(self, new, old):
        os.link(directory + old, new)

    def symlink(self, new, old):
        os.symlink(old, new)

    def statfs(self, path):
        of = os.statvfs(path)
        return {name: getattr(of, name) for name in ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize", "f_namemax")}

    def utimens(self, path, times=None):
        os.utime(path, times)

    flush = None
    getxattr = None
    listxattr = None
    access = staticmethod(lambda path, mode: 0)
    chmod = staticmethod(os.chmod)
    chown = staticmethod(os.lchown)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    unlink = staticmethod(os.unlink)
    readlink = staticmethod(os.readlink)


fusepy.FUSE(Disk(), mount, foreground=True, nothreads=True)
