using Discobot.Infrastructure;
using Discobot.Infrastructure.Native;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Cache.Shared;

/// <summary>Containers whose proxies are different users of one group, and what users leave behind who are in none.</summary>
public sealed class SharedUsersTests : IDisposable
{
    private const uint Group = 3000;
    private readonly string _shared = Directory.CreateTempSubdirectory("discobot-shared-").FullName;
    private readonly SharedVolume _volume;
    private readonly SharedEviction _first;
    private readonly SharedEviction _second;

    public SharedUsersTests()
    {
        _volume = new SharedVolume(_shared);
        (_first, _second) = (Container(), Container());
        if (!OtherUser.IsPossible)
            return;
        using var root = DirectoryHandle.OpenTrusted(_shared);
        root.SetOwner(new Owner(0, Group));
        root.SetPermissions(0x5F8);
    }

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
        Directory.Delete(_shared, recursive: true);
    }

    [Fact]
    public void What_one_has_made_the_other_may_use()
    {
        if (!OtherUser.IsPossible)
            return;
        var body = TemporaryCache.Body(1000);
        var path = Path.Join(_shared, "sha256", TemporaryCache.HexOf(body)[..2], TemporaryCache.HexOf(body));
        OtherUser.Do(1001, Group, () =>
        {
            _first.Run(_volume);
            using (DownloadLease.Open(_volume, "lease"))
            {
                var (name, file) = _volume.CreateIncoming();
                using (file)
                    RandomAccess.Write(file, body, 0);
                _volume.Place(name, SharedContainers.Digest(body));
            }
        });
        File.SetLastAccessTimeUtc(path, DateTime.UnixEpoch);
        _first.Dispose();
        OtherUser.Do(1002, Group, () =>
        {
            using (var lease = DownloadLease.Open(_volume, "lease"))
                Assert.Equal(LeaseState.Ours, lease.Look());
            _volume.OpenBody(SharedContainers.Digest(body))!.Dispose();
            _second.Run(_volume);
        });
        Assert.True(_second.Statistics().Evicts);
        Assert.InRange(File.GetLastAccessTimeUtc(path), DateTime.UtcNow - TimeSpan.FromMinutes(5), DateTime.UtcNow + TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void What_is_closed_to_one_keeps_it_from_nothing_else()
    {
        if (!OtherUser.IsPossible)
            return;
        var old = DateTime.UtcNow - TimeSpan.FromDays(2);
        foreach (var folder in (string[])["sha256", "sha256/ab", "sha256/ff", "incoming"])
            Open(folder, 0x5F8);
        foreach (var name in (string[])["sha256/ab/closed", "sha256/ff/open", "sha256/ff/used", "incoming/z"])
        {
            File.WriteAllBytes(Path.Join(_shared, name), new byte[1000]);
            File.SetLastAccessTimeUtc(Path.Join(_shared, name), name.EndsWith("used", StringComparison.Ordinal) ? DateTime.UtcNow - TimeSpan.FromMinutes(5) : old);
            File.SetLastWriteTimeUtc(Path.Join(_shared, name), old);
        }

        Directory.CreateDirectory(Path.Join(_shared, "incoming/a/b"));
        Directory.SetLastWriteTimeUtc(Path.Join(_shared, "incoming/a"), old);
        File.WriteAllText(Path.Join(_shared, "evict.lock"), "");
        File.SetUnixFileMode(Path.Join(_shared, "evict.lock"), UnixFileMode.None);
        Open("sha256/ab", 0);
        OtherUser.Do(1001, Group, () => _first.Run(_volume));
        Assert.True(_first.Statistics().Evicts);
        Assert.True(File.Exists(Path.Join(_shared, "sha256/ff/used")));
        Assert.False(File.Exists(Path.Join(_shared, "sha256/ff/open")));
        Assert.False(File.Exists(Path.Join(_shared, "incoming/z")));
    }

    private void Open(string folder, uint permissions)
    {
        Directory.CreateDirectory(Path.Join(_shared, folder));
        using var made = DirectoryHandle.OpenTrusted(Path.Join(_shared, folder));
        made.SetOwner(new Owner(0, Group));
        made.SetPermissions(permissions);
    }

    private SharedEviction Container() => new(
        new VolumeAccess(_volume, TimeProvider.System, NullLogger<VolumeAccess>.Instance), new SharedCounters(), new Live<CacheRules>(new CacheRules(new CacheOptions { SharedMaxSize = 1000 })), TimeProvider.System, NullLogger<SharedEviction>.Instance);
}
