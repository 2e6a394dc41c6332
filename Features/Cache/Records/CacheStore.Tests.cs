namespace Discobot.Features.Cache.Records;

public sealed class CacheStoreTests : IDisposable
{
    private readonly TemporaryCache _cache = new();

    public void Dispose() => _cache.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(1 << 20)]
    public async Task A_stored_body_comes_back_byte_for_byte_with_its_headers_also_after_a_restart(int size)
    {
        var bytes = TemporaryCache.Body(size);
        var store = await _cache.OpenAsync();
        var target = await _cache.StoreAsync(store, bytes);
        Assert.Equal(bytes, await TemporaryCache.ReadAsync(store, target));

        store = await _cache.OpenAsync();
        Assert.Equal(bytes, await TemporaryCache.ReadAsync(store, target));
        var body = await store.FindAsync(target, CancellationToken.None);
        Assert.Equal(["Content-Type", "X-Multi", "X-Multi"], body!.Record.Metadata.Headers.Select(h => h.Key));
        Assert.Equal(target.Key.Text, body.Record.Metadata.Key);
        body.Release();
    }

    [Fact]
    public async Task The_file_is_named_by_the_sha256_of_host_and_path_with_its_metadata_beside_it()
    {
        var store = await _cache.OpenAsync();
        var bytes = TemporaryCache.Body(10);
        await _cache.StoreAsync(store, bytes, "registry-1.docker.io");
        var key = $"registry-1.docker.io/v2/a/blobs/sha256:{TemporaryCache.HexOf(bytes)}";
        var name = Hash256.Of(key).ToString();
        Assert.Equal([name, name + ".meta"], _cache.Files());
        Assert.Contains(key, File.ReadAllText(Path.Join(_cache.Dir, name + ".meta")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_answers_its_own_address_alone_and_its_records_share_one_file()
    {
        var store = await _cache.OpenAsync();
        var bytes = TemporaryCache.Body(10);
        var hex = TemporaryCache.HexOf(bytes);
        var first = await _cache.StoreAsync(store, bytes);
        var second = _cache.Target($"https://mirror.test/v2/other/blobs/sha256:{hex}");
        Assert.Null(await TemporaryCache.ReadAsync(store, second));
        store.AddRecord(store.Index.Get(first.Key.Hash)!, Record(second, bytes, "text/other"));
        await store.CommittedAsync();

        Assert.Equal(bytes, await TemporaryCache.ReadAsync(store, second));
        Assert.Equal((2, 10L), (store.Index.Count, store.Index.Size));
        Assert.Equal(["text/other"], (await FieldsAsync(store, second)).Select(f => f.Value));
        Assert.DoesNotContain("text/other", (await FieldsAsync(store, first)).Select(f => f.Value));
        Assert.Equal(2, LinksOf(_cache.FileOf(first)));

        store = await _cache.OpenAsync();
        store.Invalidate(first.Key);
        Assert.Equal(bytes, await TemporaryCache.ReadAsync(store, second));
        Assert.Equal((1, 10L), (store.Index.Count, store.Index.Size));
        store.Invalidate(second.Key);
        Assert.Equal((0, 0L), (store.Index.Count, store.Index.Size));
        Assert.Empty(_cache.Files());
    }

    [Fact]
    public async Task Equal_bodies_share_one_file_and_what_one_more_costs_does_not_grow_with_their_number()
    {
        const int AtOnce = 300;
        var bytes = TemporaryCache.Body(10);
        for (var start = 1; start <= 2; start++)
        {
            var store = await _cache.OpenAsync();
            await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(i => _cache.StoreAsync(store, bytes, $"host{i}-{start}.test")));
            store.SaveSnapshot();
            Assert.Equal(start * AtOnce, LinksOf(_cache.FileOf(_cache.Blob(bytes, "host0-1.test"))));

            // Each body, each record and each second name has had a numbered name of its own, and after a start every file is new to the store.
            var temporary = store.CreateTemporary();
            var names = int.Parse(Path.GetFileNameWithoutExtension(temporary.Path).Split('-')[1], System.Globalization.CultureInfo.InvariantCulture);
            Assert.InRange(names, 2 * AtOnce, 5 * AtOnce);
            temporary.File.Dispose();
            temporary.Delete();
        }
    }

    [Theory]
    [InlineData("https://registry.test:8443/v2/a/blobs/sha256:HEX", "registry.test:8443/v2/a/blobs/sha256:HEX", true)]
    [InlineData("http://registry.test:5000/v2/a/blobs/sha256:HEX", "registry.test:5000/v2/a/blobs/sha256:HEX", true)]
    [InlineData("http://registry.test/v2/a/blobs/sha256:HEX", "registry.test/v2/a/blobs/sha256:HEX", true)]
    [InlineData("https://registry.test/v2/a/blobs/sha256:HEX?sig=1", "registry.test/v2/a/blobs/sha256:HEX", true)]
    [InlineData("https://registry.test/v2/a/blobs/sha256:HEX", "other.test/v2/a/blobs/sha256:HEX", false)]
    public async Task What_an_earlier_version_stored_goes_on_serving(string url, string key, bool serves)
    {
        var bytes = TemporaryCache.Body(100);
        var hex = TemporaryCache.HexOf(bytes);
        key = key.Replace("HEX", hex, StringComparison.Ordinal);
        var file = Path.Join(_cache.Dir, Hash256.Of(key).ToString());
        await File.WriteAllBytesAsync(file, bytes);
        await File.WriteAllTextAsync(file + ".meta",
            $$"""{"key":"{{key}}","size":100,"sha256":"{{hex}}","stored_at":1700000000000,"kind":"blob","headers":[["Content-Type","a/b"],["X-Odd","a\u0001b"]]}""");
        for (var start = 0; start < 2; start++)
        {
            var store = await _cache.OpenAsync();
            var target = _cache.Target(url.Replace("HEX", hex, StringComparison.Ordinal));
            Assert.Equal(serves ? bytes : null, await TemporaryCache.ReadAsync(store, target));
            if (serves)
                Assert.Equal(["Content-Type"], (await FieldsAsync(store, target)).Select(f => f.Key));
            store.SaveSnapshot();
        }
    }

    [Fact]
    public async Task A_key_of_today_without_a_scheme_is_that_of_https_alone()
    {
        var store = await _cache.OpenAsync();
        var bytes = TemporaryCache.Body(10);
        await _cache.StoreAsync(store, bytes, "registry.test:5000");
        Assert.Null(await TemporaryCache.ReadAsync(store, _cache.Target($"http://registry.test:5000/v2/a/blobs/sha256:{TemporaryCache.HexOf(bytes)}")));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".meta")]
    public async Task What_cannot_be_read_at_the_moment_is_a_miss_and_stays(string suffix)
    {
        var store = await _cache.OpenAsync();
        var bytes = TemporaryCache.Body(300_000);
        var target = await _cache.StoreAsync(store, bytes);
        var (file, aside) = (_cache.FileOf(target) + suffix, _cache.FileOf(target) + ".aside");
        store = await _cache.OpenAsync();

        // Reading a link to itself fails with ELOOP, root or not; it says no more about the entry than EMFILE, EACCES or EIO.
        File.Move(file, aside);
        File.CreateSymbolicLink(file, file);
        Assert.Null(await TemporaryCache.ReadAsync(store, target));
        Assert.Equal(0, _cache.Stats.Read(store.Index, 0).Errors);
        var restarted = await _cache.OpenAsync();
        File.Delete(file);
        File.Move(aside, file);
        Assert.Equal(bytes, await TemporaryCache.ReadAsync(store, target));
        Assert.NotNull(await TemporaryCache.ReadAsync(await _cache.OpenAsync(), target));
    }

    private static EntryMetadata Record(CacheTarget target, byte[] body, string type) => new()
    {
        Key = target.Key.Text,
        Size = body.Length,
        Digest = target.Digest!.Value.Hash,
        StoredAt = 1_700_000_000_000,
        Kind = target.Kind,
        Headers = [new("Content-Type", type)],
    };

    private static async Task<KeyValuePair<string, Microsoft.Extensions.Primitives.StringValues>[]> FieldsAsync(CacheStore store, CacheTarget target)
    {
        var body = await store.FindAsync(target, CancellationToken.None);
        body!.Release();
        return body.Record.Fields;
    }

    private static int LinksOf(string file)
    {
        using var stat = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("stat", ["-c", "%h", file]) { RedirectStandardOutput = true })!;
        return int.Parse(stat.StandardOutput.ReadToEnd(), System.Globalization.CultureInfo.InvariantCulture);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Least_recently_used_entries_go_first_and_the_order_survives_a_restart(bool restart)
    {
        _cache.Options = _cache.Options with { MaxSize = 3 * CacheEntry.Smallest(1000) };
        var store = await _cache.OpenAsync();
        var bodies = Enumerable.Range(0, 3).Select(_ => TemporaryCache.Body(1000)).ToArray();
        foreach (var body in bodies)
            await _cache.StoreAsync(store, body);
        await TemporaryCache.ReadAsync(store, _cache.Blob(bodies[0]));
        if (restart)
        {
            store.SaveSnapshot();
            store = await _cache.OpenAsync();
        }

        await _cache.StoreAsync(store, TemporaryCache.Body(900));
        Assert.NotNull(await TemporaryCache.ReadAsync(store, _cache.Blob(bodies[0])));
        Assert.Null(await TemporaryCache.ReadAsync(store, _cache.Blob(bodies[1])));
        Assert.NotNull(await TemporaryCache.ReadAsync(store, _cache.Blob(bodies[2])));
        var stats = _cache.Stats.Read(store.Index, 3000);
        Assert.Equal((1, 2900), (stats.Evictions, stats.CurrentSize));
        Assert.Equal(6, _cache.Files().Length);
    }

    [Fact]
    public async Task A_directory_is_one_process_at_a_time_and_the_other_is_named()
    {
        var store = await _cache.OpenAsync();
        var target = await _cache.StoreAsync(store, TemporaryCache.Body(100));
        File.WriteAllText(Path.Join(_cache.Dir, "tmp", "1-1.part"), "what the first one is writing");
        var other = new CacheDirectory(_cache.Dir);
        Assert.Equal($"{_cache.Dir} is in use by process {Environment.ProcessId} on {Environment.MachineName}; two caches need two directories (cache.dir)",
            Assert.Throws<IOException>(other.Prepare).Message);
        Assert.Throws<IOException>(() => other.CreateTemporary());
        Assert.Contains(Path.Join("tmp", "1-1.part"), _cache.Files());

        var second = new CacheStore(_cache.Rules, new CacheStats(), TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<CacheStore>.Instance);
        Assert.False(second.Start());
        second.SaveSnapshot();
        Assert.Null(await TemporaryCache.ReadAsync(second, target));
        Assert.NotNull(await TemporaryCache.ReadAsync(store, target));

        store.Release();
        other.Prepare();
        other.Release();
    }

    [Fact]
    public async Task What_was_stored_after_the_last_snapshot_counts_as_used_after_all_that_is_in_it()
    {
        _cache.Options = _cache.Options with { MaxSize = 3 * CacheEntry.Smallest(1000) };
        var store = await _cache.OpenAsync();
        var bodies = Enumerable.Range(0, 3).Select(_ => TemporaryCache.Body(1000)).ToArray();
        await _cache.StoreAsync(store, bodies[0]);
        await _cache.StoreAsync(store, bodies[1]);
        store.SaveSnapshot();
        await _cache.StoreAsync(store, bodies[2]);
        store = await _cache.OpenAsync();
        Assert.Equal(bodies.Select(b => TemporaryCache.HexOf(b)), store.Index.ToArray().Select(e => e.Digest.ToString()));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".meta")]
    public async Task What_the_snapshot_lists_and_is_gone_is_neither_served_nor_an_error(string suffix)
    {
        var store = await _cache.OpenAsync();
        var (gone, kept) = (await _cache.StoreAsync(store, TemporaryCache.Body(1000)), await _cache.StoreAsync(store, TemporaryCache.Body(1000)));
        store.SaveSnapshot();
        File.Delete(_cache.FileOf(gone) + suffix);
        store = await _cache.OpenAsync();
        Assert.Equal((1, 1000L), (store.Index.Count, store.Index.Size));
        Assert.Null(await TemporaryCache.ReadAsync(store, gone));
        Assert.NotNull(await TemporaryCache.ReadAsync(store, kept));
        Assert.Equal(0, _cache.Stats.Read(store.Index, 0).Errors);
        Assert.Equal(2, _cache.Files().Length);
    }

    [Fact]
    public async Task What_is_evicted_while_the_directory_is_read_does_not_come_back_as_the_newest()
    {
        var store = await _cache.OpenAsync();
        await _cache.StoreAsync(store, TemporaryCache.Body(1000));
        var target = await _cache.StoreAsync(store, TemporaryCache.Body(1000));
        store.SaveSnapshot();
        // As a start finds them.
        Array.ForEach(store.Index.ToArray(), entry => store.Index.Remove(entry));
        var known = CacheSnapshot.Read(Path.Join(Path.GetDirectoryName(_cache.FileOf(target)), ".index"));
        store.Index.AddNewer(known.ToArray());
        IEnumerable<(Hash256, EntryFiles)> Directory()
        {
            store.Index.Remove(known[0]);
            foreach (var entry in known)
            {
                yield return (entry.Key, EntryFiles.Metadata);
                yield return (entry.Key, EntryFiles.Body);
            }
        }

        Assert.Empty(store.Compare(known, Directory()));
        Assert.Equal([known[1]], store.Index.ToArray());
    }

    [Fact]
    public async Task What_its_origin_ends_while_the_directory_is_read_does_not_come_back()
    {
        var store = await _cache.OpenAsync();
        var target = await _cache.StoreAsync(store, TemporaryCache.Body(1000));
        await store.CommittedAsync();
        Assert.True(File.Exists(_cache.FileOf(target)));
        // On disk, and not come across yet.
        store.Index.Remove(store.Index.Get(target.Key.Hash)!);
        store.Loaded = new TaskCompletionSource().Task;

        Assert.True(store.Knows(target.Key));
        store.Invalidate(target.Key);
        Assert.False(File.Exists(_cache.FileOf(target)));
        Assert.False(File.Exists(_cache.FileOf(target) + ".meta"));
    }

    /// <summary>Records with a body of their own, with one that many share, and without any; some with metadata of several blocks.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_counted_bounds_the_disk_whatever_is_stored(bool restart)
    {
        const long MaxSize = 1_000_000;
        _cache.Options = _cache.Options with { MaxSize = MaxSize };
        var store = await _cache.OpenAsync();
        var shared = TemporaryCache.Body(44);
        for (var i = 0; i < 600; i++)
        {
            var body = (i % 3) switch { 0 => shared, 1 => TemporaryCache.Body(3000), _ => [] };
            var target = _cache.Target($"https://host{i}.test/v2/a/blobs/sha256:{TemporaryCache.HexOf(body)}");
            var temporary = store.CreateTemporary();
            RandomAccess.Write(temporary.File, body, 0);
            store.Add(temporary, Record(target, body, new string('x', i % 20 == 0 ? 9000 : 10))).Release();
        }

        await store.CommittedAsync();
        if (restart)
        {
            // From the files, then from the snapshot.
            for (var start = 0; start < 2; start++)
            {
                var counted = store.Index.DiskSize;
                store = await _cache.OpenAsync();
                Assert.Equal(counted, store.Index.DiskSize);
                store.SaveSnapshot();
            }
        }

        Assert.InRange(store.Index.DiskSize, MaxSize * 9 / 10, MaxSize);
        // The directories and the files of the cache itself are there before anything is stored.
        Assert.InRange(DiskUsage(), store.Index.DiskSize * 8 / 10, MaxSize + (4 * CacheEntry.Block));
        Assert.InRange(_cache.Stats.Read(store.Index, MaxSize).DiskSize, 1, MaxSize);
        await store.ClearAsync(CancellationToken.None);
        Assert.Equal((0, 0L, 0L), (store.Index.Count, store.Index.Size, store.Index.DiskSize));
    }

    private long DiskUsage()
    {
        using var du = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("du", ["-s", "-B1", _cache.Dir]) { RedirectStandardOutput = true })!;
        return long.Parse(du.StandardOutput.ReadToEnd().Split('\t')[0], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task A_smaller_limit_takes_effect_at_once()
    {
        var store = await _cache.OpenAsync();
        await _cache.StoreAsync(store, TemporaryCache.Body(1000));
        await _cache.StoreAsync(store, TemporaryCache.Body(1000));
        _cache.Rules.Replace(new CacheRules(_cache.Options with { MaxSize = CacheEntry.Smallest(1000) * 3 / 2 }));
        Assert.Equal(1000, store.Index.Size);
    }

    [Fact]
    public async Task What_an_earlier_run_left_half_written_is_swept_and_what_is_not_ours_is_not()
    {
        var store = await _cache.OpenAsync();
        var target = await _cache.StoreAsync(store, TemporaryCache.Body(100));
        var stray = Path.Join(_cache.Dir, new string('a', 64));
        File.WriteAllText(stray, "a body without metadata");
        File.WriteAllText(Path.Join(_cache.Dir, new string('b', 64) + ".meta"), "metadata without a body");
        File.WriteAllText(Path.Join(_cache.Dir, "tmp", "1-1.part"), "half");
        File.WriteAllText(Path.Join(_cache.Dir, "notes.txt"), "the user's");

        store = await _cache.OpenAsync();
        Assert.Equal([target.Key.Hash.ToString(), target.Key.Hash + ".meta", "notes.txt"], _cache.Files());
        Assert.Equal(1, store.Index.Count);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("registry.test/v2/a/blobs/x")]
    [InlineData("""{"key":"a/b","size":"x"}""")]
    public async Task An_entry_with_torn_metadata_is_a_miss(string text)
    {
        var target = await _cache.StoreAsync(await _cache.OpenAsync(), TemporaryCache.Body(100));
        File.WriteAllText(_cache.FileOf(target) + ".meta", text);
        Assert.Null(await TemporaryCache.ReadAsync(await _cache.OpenAsync(), target));
        Assert.Empty(_cache.Files());
    }

    [Theory]
    [InlineData(100, false)]
    [InlineData(100, true)]
    [InlineData(300_000, false)]
    [InlineData(300_000, true)]
    public async Task A_truncated_body_is_dropped_and_counted(int size, bool snapshot)
    {
        var store = await _cache.OpenAsync();
        var target = await _cache.StoreAsync(store, TemporaryCache.Body(size));
        if (snapshot)
            store.SaveSnapshot();
        using (var file = File.OpenHandle(_cache.FileOf(target), FileMode.Open, FileAccess.Write))
            RandomAccess.SetLength(file, size - 1);
        store = await _cache.OpenAsync();
        Assert.Null(await TemporaryCache.ReadAsync(store, target));
        Assert.Equal(1, _cache.Stats.Read(store.Index, 0).Errors);
        Assert.Empty(_cache.Files());
    }

    [Theory]
    [InlineData(100)]
    [InlineData(300_000)]
    public async Task A_flipped_bit_is_found_at_the_first_read_after_a_start(int size)
    {
        var store = await _cache.OpenAsync();
        var target = await _cache.StoreAsync(store, TemporaryCache.Body(size));
        store.SaveSnapshot();
        _cache.Damage(target, size / 2);
        Assert.Null(await TemporaryCache.ReadAsync(await _cache.OpenAsync(), target));
    }

    [Fact]
    public async Task A_flipped_bit_in_a_file_that_is_open_already_is_found_too()
    {
        var store = await _cache.OpenAsync();
        var target = await _cache.StoreAsync(store, TemporaryCache.Body(300_000));
        Assert.NotNull(await TemporaryCache.ReadAsync(store, target));
        _cache.Damage(target, 299_999);
        Assert.Null(await TemporaryCache.ReadAsync(store, target));
    }

    [Fact]
    public async Task Clearing_empties_the_directory_but_not_the_hands_of_those_who_read()
    {
        var store = await _cache.OpenAsync();
        var bytes = TemporaryCache.Body(1 << 20);
        var target = await _cache.StoreAsync(store, bytes);
        var reading = await store.FindAsync(target, CancellationToken.None);
        await store.ClearAsync(CancellationToken.None);

        Assert.Empty(_cache.Files());
        Assert.True(Directory.Exists(_cache.Dir));
        Assert.Equal(0, store.Index.Size);
        Assert.Null(await TemporaryCache.ReadAsync(store, target));
        var read = new byte[bytes.Length];
        Assert.Equal(read.Length, reading!.Read(read, 0));
        Assert.Equal(bytes, read);
        reading.Release();
    }

    [Fact]
    public async Task Storing_a_key_again_counts_its_size_once()
    {
        var store = await _cache.OpenAsync();
        var bytes = TemporaryCache.Body(1000);
        var target = await _cache.StoreAsync(store, bytes);
        await _cache.StoreAsync(store, bytes);
        Assert.Equal((1, 1000L), (store.Index.Count, store.Index.Size));
        Assert.Equal(bytes, await TemporaryCache.ReadAsync(store, target));
    }
}
