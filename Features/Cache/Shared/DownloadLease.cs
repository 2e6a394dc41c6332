using System.Buffers;
using System.Globalization;
using System.Text;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Shared;

/// <summary>How a lease stands.</summary>
internal enum LeaseState
{
    /// <summary>Another container downloads it.</summary>
    Held,

    /// <summary>It is ours: nobody had it, or its owner died.</summary>
    Ours,

    /// <summary>Its owner gave it back, with the body in its place or without.</summary>
    Released,
}

/// <param name="Incoming">The file that its owner writes.</param>
/// <param name="Length">Of the whole body.</param>
internal sealed record LeaseRecord(string Incoming, long Length);

/// <summary>
/// Who downloads a digest from an origin for all containers: a file that its owner holds locked (flock(2)), which the kernel lets go of however
/// the owner ends. What stands in it names the file that grows. Its owner removes it before letting go, so that a lock one gets on a file that still has its name is
/// that of an owner who died. Where locks do not hold, or somebody removes the files, several download the same, and nothing worse.
/// </summary>
internal sealed class DownloadLease : IDisposable
{
    private const int Size = 128;
    private const string Magic = "discobot";
    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");

    private readonly SharedVolume _volume;
    private readonly string _name;
    private readonly SafeFileHandle _file;

    private DownloadLease(SharedVolume volume, string name, SafeFileHandle file) => (_volume, _name, _file) = (volume, name, file);

    public static string NameOf(Hash256 digest, string origin) => $"{digest}-{Hash256.Of(origin).ToString()[..16]}";

    public static DownloadLease Open(SharedVolume volume, string name)
    {
        using var folder = volume.Open(SharedVolume.Leases);
        // Something else of that name would keep everybody from it for ever.
        if (folder.Status(name) is { Kind: not FileKind.Regular } && folder.Status(name) is { Kind: not FileKind.Directory })
            folder.Remove(name);
        return new DownloadLease(volume, name, folder.OpenOrCreateFile(name, folder.Status().Permissions & 0x1B6 | 0x180));
    }

    public LeaseState Look()
    {
        if (Libc.Lock(_file, FileLock.Exclusive | FileLock.NonBlocking) != 0)
        {
            var error = LibcException.Last("flock", _name);
            return error.Number == LibcException.WouldBlock ? LeaseState.Held : throw error;
        }

        using var folder = _volume.Open(SharedVolume.Leases);
        return folder.IsNameOf(_name, _file) ? LeaseState.Ours : LeaseState.Released;
    }

    /// <returns>Null where its owner has nothing yet, or what stands there is nothing that an owner would write.</returns>
    public LeaseRecord? Read()
    {
        Span<byte> bytes = stackalloc byte[Size];
        var read = RandomAccess.Read(_file, bytes, 0);
        return Encoding.ASCII.GetString(bytes[..read]).Split(' ', StringSplitOptions.RemoveEmptyEntries) is [Magic, { Length: 32 } name, var length, "\n"]
            && !name.AsSpan().ContainsAnyExcept(HexDigits)
            && long.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var bound)
            ? new LeaseRecord(name, bound) : null;
    }

    public void Write(LeaseRecord record)
    {
        var text = string.Create(CultureInfo.InvariantCulture, $"{Magic} {record.Incoming} {record.Length} ");
        DiskFailure.Write(_file, Encoding.ASCII.GetBytes(text.PadRight(Size - 1) + "\n"), 0);
    }

    /// <summary>Gives it back, if it is ours.</summary>
    public void Release()
    {
        try
        {
            using var folder = _volume.Open(SharedVolume.Leases);
            if (folder.IsNameOf(_name, _file))
                folder.Remove(_name);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // Whoever looks next takes it over as one whose owner died.
        }

        _file.Dispose();
    }

    public void Dispose() => _file.Dispose();
}
