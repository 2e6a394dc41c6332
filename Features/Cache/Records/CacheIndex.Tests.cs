using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Records;

[Collection(nameof(Alone))]
public class CacheIndexTests
{
    [Fact]
    public void A_hundred_thousand_entries_take_less_than_a_kilobyte_each_and_survive_a_snapshot_in_order()
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var index = new CacheIndex();
        for (var i = 0; i < 100_000; i++)
            index.Add(Entry(i));
        var perEntry = (GC.GetTotalMemory(forceFullCollection: true) - before) / 100_000;
        Assert.InRange(perEntry, 1, 400);

        var path = Path.GetTempFileName();
        try
        {
            CacheSnapshot.Write(path, index.ToArray());
            var read = CacheSnapshot.Read(path);
            Assert.Equal(index.ToArray().Select(e => (e.Key, e.Digest, e.Size, e.StoredAt, e.Origin, e.Kind)),
                read.Select(e => (e.Key, e.Digest, e.Size, e.StoredAt, e.Origin, e.Kind)));
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
        var index = new CacheIndex();
        var (first, second) = (Entry(1), Entry(2));
        index.Add(first);
        index.Add(second);
        index.Remove(first);
        Assert.True(index.HasOrigin("host.test"));
        index.Remove(second);
        Assert.False(index.HasOrigin("host.test"));
    }

    private static CacheEntry Entry(int i) => new(Hash256.Of($"key {i}"), Hash256.Of($"body {i}"), i, 1000 + i, "host.test", (BodyKind)(i & 1));
}
