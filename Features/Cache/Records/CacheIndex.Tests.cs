using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Records;

[Collection(nameof(Alone))]
public class CacheIndexTests
{
    private const int Million = 1_000_000;

    [Fact]
    public void A_million_entries_take_at_most_250_bytes_each_and_survive_a_snapshot_in_order()
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var index = new CacheIndex(TimeProvider.System);
        for (var i = 0; i < Million; i++)
            index.Add(Entry(i));
        var perEntry = (GC.GetTotalMemory(forceFullCollection: true) - before) / Million;
        Assert.InRange(perEntry, 1, 250);

        var path = Path.GetTempFileName();
        try
        {
            CacheSnapshot.Write(path, index.ToArray());
            var read = CacheSnapshot.Read(path);
            Assert.True(index.ToArray().Select(e => (e.Key, e.Digest, e.Size, e.StoredAt, e.Origin, e.Kind, e.UsedAt))
                .SequenceEqual(read.Select(e => (e.Key, e.Digest, e.Size, e.StoredAt, e.Origin, e.Kind, e.UsedAt))));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_torn_or_altered_snapshot_is_none()
    {
        var path = Path.GetTempFileName();
        try
        {
            CacheSnapshot.Write(path, [Entry(1), Entry(2)]);
            var whole = File.ReadAllBytes(path);
            Assert.Equal(2, CacheSnapshot.Read(path).Count);
            for (var length = 0; length < whole.Length; length++)
            {
                File.WriteAllBytes(path, whole[..length]);
                Assert.Empty(CacheSnapshot.Read(path));
            }

            whole[^40] ^= 1;
            File.WriteAllBytes(path, whole);
            Assert.Empty(CacheSnapshot.Read(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void An_origin_is_known_as_long_as_anything_of_it_is_stored()
    {
        var index = new CacheIndex(TimeProvider.System);
        var (first, second) = (Entry(1), Entry(2));
        index.Add(first);
        index.Add(second);
        index.Remove(first);
        Assert.True(index.HasOrigin("host.test"));
        index.Remove(second);
        Assert.False(index.HasOrigin("host.test"));
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(200)]
    public void Records_of_one_body_are_found_newest_first_whatever_else_comes_and_goes(int others)
    {
        var index = new CacheIndex(TimeProvider.System);
        var body = Hash256.Of("shared");
        var shared = Enumerable.Range(0, 5).Select(i => new CacheEntry(Hash256.Of($"shared {i}"), body, 7, 0, $"host{i}.test", BodyKind.Blob)).ToArray();
        foreach (var record in shared)
        {
            index.Add(record);
            for (var i = 0; i < others / 5; i++)
                index.Add(Entry(index.Count));
        }

        Assert.Equal(shared.Reverse(), index.OfBody(body));
        Assert.Same(shared[1], index.FindBody(body, "host1.test"));
        var size = index.Size;
        index.Remove(shared[2]);
        index.Remove(shared[4]);
        Assert.Equal([shared[3], shared[1], shared[0]], index.OfBody(body));
        Assert.Equal(size, index.Size);
        foreach (var record in shared)
            index.Remove(record);
        Assert.Equal(size - 7, index.Size);
        Assert.Empty(index.OfBody(body));
    }

    [Fact]
    public void Records_without_a_body_cost_the_same_however_many_there_are()
    {
        var index = new CacheIndex(TimeProvider.System);
        var empty = Enumerable.Range(0, 100_000).Select(i => new CacheEntry(Hash256.Of($"empty {i}"), Hash256.Of(""), 0, 0, "host.test", BodyKind.Blob)).ToArray();
        Array.ForEach(empty, e => index.Add(e));
        Assert.Empty(index.OfBody(Hash256.Of("")));
        var started = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.All(empty, e => Assert.True(index.Remove(e)));
        Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
    }

    private static CacheEntry Entry(int i) => new(Hash256.Of($"key {i}"), Hash256.Of($"body {i}"), i, 1000 + i, "host.test", (BodyKind)(i & 1));
}
