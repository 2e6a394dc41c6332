using Discobot.Infrastructure;
using Discobot.Infrastructure.Native;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Cache.Shared;

/// <summary>Rounds of two containers over one directory.</summary>
public sealed class SharedEvictionTests : IDisposable
{
    private readonly string _shared = Directory.CreateTempSubdirectory("discobot-shared-").FullName;
    private readonly SharedVolume _volume;
    private readonly Live<CacheRules> _rules = new(new CacheRules(new CacheOptions { SharedMaxSize = 3000 }));
    private readonly SharedEviction _first;
    private readonly SharedEviction _second;

    public SharedEvictionTests()
    {
        _volume = new SharedVolume(_shared);
        (_first, _second) = (Container(), Container());
    }

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
        Directory.Delete(_shared, recursive: true);
    }

    [Fact]
    public void The_least_recently_used_go_and_one_container_alone_sees_to_it()
    {
        var files = Enumerable.Range(1, 5).Select(age => Body(1000, TimeSpan.FromHours(-age))).ToArray();
        _first.Run(_volume);
        _second.Run(_volume);
        Assert.Equal(files[..3].Order(), Bodies());
        Assert.Equal((true, 2, 3000), Told(_first));
        // What the one has counted the other shows.
        Assert.Equal((false, 0, 3000), Told(_second));
        _rules.Replace(new CacheRules(new CacheOptions { SharedMaxSize = 1000 }));
        _second.Run(_volume);
        Assert.Equal(3, Bodies().Length);
        _first.Dispose();
        _second.Run(_volume);
        Assert.Equal(files[..1], Bodies());
        Assert.Equal((true, 2, 1000), Told(_second));
    }

    [Fact]
    public void Whoever_reads_reads_to_the_end()
    {
        Body(1000, TimeSpan.FromHours(-1));
        var old = Body(2000, TimeSpan.FromHours(-2));
        Body(1000, TimeSpan.FromHours(-1));
        using var reader = File.OpenHandle(old, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        _first.Run(_volume);
        Assert.False(File.Exists(old));
        Assert.Equal(2000, RandomAccess.Read(reader, new byte[3000], 0));
    }

    /// <summary>A container whose clock was a year ahead: what it used is of now from then on, and ages like the rest.</summary>
    [Fact]
    public void Times_of_a_clock_that_was_ahead_keep_nothing_for_ever()
    {
        var ahead = Body(1000, TimeSpan.FromDays(365));
        var (old, older) = (Body(1000, TimeSpan.FromHours(-1)), Body(1000, TimeSpan.FromHours(-2)));
        _first.Run(_volume);
        Assert.InRange(File.GetLastAccessTimeUtc(ahead), DateTime.UtcNow - TimeSpan.FromMinutes(5), DateTime.UtcNow + TimeSpan.FromSeconds(1));
        File.SetLastAccessTimeUtc(ahead, DateTime.UtcNow - TimeSpan.FromDays(1));
        Body(1000, TimeSpan.Zero);
        _first.Run(_volume);
        Assert.False(File.Exists(ahead));
        Assert.True(File.Exists(old) && File.Exists(older));
    }

    /// <summary>And of one that is behind: whoever reads a body says so by the clock of the directory.</summary>
    [Fact]
    public void What_is_read_is_told_by_the_directorys_clock_and_once_an_hour()
    {
        var body = TemporaryCache.Body(1000);
        var path = Body(body, DateTime.UnixEpoch);
        _volume.OpenBody(SharedContainers.Digest(body))!.Dispose();
        var used = File.GetLastAccessTimeUtc(path);
        Assert.InRange(used, DateTime.UtcNow - TimeSpan.FromMinutes(5), DateTime.UtcNow + TimeSpan.FromSeconds(1));
        File.SetLastAccessTimeUtc(path, DateTime.UtcNow - TimeSpan.FromMinutes(59));
        _volume.OpenBody(SharedContainers.Digest(body))!.Dispose();
        Assert.True(File.GetLastAccessTimeUtc(path) < DateTime.UtcNow - TimeSpan.FromMinutes(50));
    }

    [Fact]
    public void What_killed_containers_left_is_swept_and_what_is_in_use_stays()
    {
        foreach (var folder in new[] { "incoming", "leases", "aside" })
        {
            Directory.CreateDirectory(Path.Join(_shared, folder));
            foreach (var (name, age) in new[] { ("old", 25), ("new", 0) })
            {
                File.WriteAllText(Path.Join(_shared, folder, name), "x");
                File.SetLastWriteTimeUtc(Path.Join(_shared, folder, name), DateTime.UtcNow - TimeSpan.FromHours(age));
            }
        }

        var held = Path.Join(_shared, "leases", "held");
        using var owner = new FileStream(held, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        File.SetLastWriteTimeUtc(owner.SafeFileHandle, DateTime.UtcNow - TimeSpan.FromHours(25));
        _first.Run(_volume);
        Assert.Equal(["aside/new", "incoming/new", "leases/held", "leases/new"],
            Directory.EnumerateFiles(_shared, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(_shared, f)).Where(f => f.Contains('/')).Order(StringComparer.Ordinal));
    }

    /// <summary>Links that lead out, sparse files of more bytes than any disk has, directories.</summary>
    [Fact]
    public void What_somebody_planted_leads_nowhere()
    {
        var elsewhere = Directory.CreateTempSubdirectory("discobot-elsewhere-").FullName;
        var victim = Path.Join(elsewhere, "victim");
        File.WriteAllText(victim, "untouched");
        var mine = Body(1000, TimeSpan.FromHours(-1));
        Directory.CreateSymbolicLink(Path.Join(_shared, "sha256", "zz"), elsewhere);
        Directory.CreateSymbolicLink(Path.Join(_shared, "incoming"), elsewhere);
        File.CreateSymbolicLink(mine + "-link", victim);
        Directory.CreateDirectory(Path.Join(_shared, "sha256", "ab", "directory"));
        foreach (var name in new[] { "huge", "enormous" })
        {
            using var file = File.OpenHandle(Path.Join(_shared, "sha256", "ab", name), FileMode.CreateNew, FileAccess.Write);
            RandomAccess.SetLength(file, 1L << 42);
            File.SetLastAccessTimeUtc(file, DateTime.UtcNow - TimeSpan.FromHours(3));
        }

        _first.Run(_volume);
        Assert.Equal("untouched", File.ReadAllText(victim));
        Assert.True(File.Exists(mine));
        Assert.Empty(Directory.GetFiles(Path.Join(_shared, "sha256", "ab")));
        Directory.Delete(elsewhere, recursive: true);
    }

    /// <summary>Whoever owns a file sets its times to any number, where the file system keeps it: here one in memory does.</summary>
    [Theory]
    [InlineData(1L << 40)]
    [InlineData(-(1L << 40))]
    [InlineData(long.MaxValue)]
    public void Times_that_no_calendar_has_end_nothing(long seconds)
    {
        var directory = Directory.CreateDirectory($"/dev/shm/discobot-test-{Guid.NewGuid():N}").FullName;
        try
        {
            var (body, volume) = (TemporaryCache.Body(1000), new SharedVolume(directory));
            var (name, made) = volume.CreateIncoming();
            using (made)
                Assert.Equal(0, Libc.SetTimes(made, [seconds, 0, seconds, 0]));
            volume.Place(name, SharedContainers.Digest(body));
            (name, made) = volume.CreateIncoming();
            using (made)
                Assert.Equal(0, Libc.SetTimes(made, [seconds, 0, seconds, 0]));
            using (var container = Container())
                container.Run(volume);
            Assert.False(File.Exists(Path.Join(directory, "incoming", name)));
            volume.OpenBody(SharedContainers.Digest(body))!.Dispose();
            Assert.True(volume.Has(SharedContainers.Digest(body)));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>What is empty takes no room, but names are kept in memory while a round looks at them.</summary>
    [Fact]
    public void Of_many_that_are_empty_the_least_recently_used_go()
    {
        var files = Enumerable.Range(1, 5).Select(age => Body(0, TimeSpan.FromHours(-age))).Distinct().ToArray();
        Assert.Single(files);
        files = [.. Enumerable.Range(1, 5).Select(age => files[0] + age)];
        foreach (var (file, age) in files.Select((file, age) => (file, age)))
        {
            File.WriteAllText(file, "");
            File.SetLastAccessTimeUtc(file, DateTime.UtcNow - TimeSpan.FromHours(age));
        }

        using var container = Container(mostBodies: 3);
        container.Run(_volume);
        Assert.Equal(files[..3].Order(), Bodies());
    }

    [Fact]
    public void A_tree_of_any_depth_is_swept()
    {
        var x = Path.Join(_shared, "incoming", "x");
        Directory.CreateDirectory(x);
        var current = DirectoryHandle.OpenTrusted(x);
        for (var depth = 0; depth < 4000; depth++)
        {
            using var parent = current;
            current = parent.OpenOrMake("d", 0x1C0);
        }

        current.Dispose();
        Directory.SetLastWriteTimeUtc(x, DateTime.UnixEpoch);
        // A stack that a call for each level would not fit in.
        var thread = new Thread(() => _first.Run(_volume), 256 << 10);
        thread.Start();
        thread.Join();
        Assert.False(Directory.Exists(x));
    }

    private SharedEviction Container(int mostBodies = 200_000) => new(
        new VolumeAccess(_volume, TimeProvider.System, NullLogger<VolumeAccess>.Instance), new SharedCounters(), _rules, TimeProvider.System, NullLogger<SharedEviction>.Instance, mostBodies);

    private static (bool, long, long) Told(SharedEviction container) => container.Statistics() is var s ? (s.Evicts, s.Evicted, s.Size) : default;

    private string Body(int size, TimeSpan used) => Body(TemporaryCache.Body(size), DateTime.UtcNow + used);

    private string Body(byte[] body, DateTime used)
    {
        var path = Path.Join(_shared, "sha256", TemporaryCache.HexOf(body)[..2], TemporaryCache.HexOf(body));
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, body);
        File.SetLastAccessTimeUtc(path, used);
        return path;
    }

    private string[] Bodies() => [.. Directory.EnumerateFiles(Path.Join(_shared, "sha256"), "*", SearchOption.AllDirectories).Order()];
}
