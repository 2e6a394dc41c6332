using System.Text;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>A file name as the kernel has it: bytes, which need not be UTF-8. Zero-terminated for system calls.</summary>
internal readonly struct FileName(byte[] zeroTerminated) : IEquatable<FileName>
{
    public byte[] Bytes { get; } = zeroTerminated;

    public static implicit operator FileName(string name) => FromString(name);

    public static FileName FromString(string name)
    {
        if (name.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException("a file name cannot hold a NUL", nameof(name));
        var bytes = new byte[Encoding.UTF8.GetByteCount(name) + 1];
        Encoding.UTF8.GetBytes(name, bytes);
        return new FileName(bytes);
    }

    public bool Equals(FileName other) => Bytes.AsSpan().SequenceEqual(other.Bytes);

    public override bool Equals(object? obj) => obj is FileName other && Equals(other);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.AddBytes(Bytes);
        return hash.ToHashCode();
    }

    /// <summary>For messages and comparisons with names we chose; bytes that are no UTF-8 are replaced.</summary>
    public override string ToString() => Encoding.UTF8.GetString(Bytes.AsSpan(0, Bytes.Length - 1));
}
