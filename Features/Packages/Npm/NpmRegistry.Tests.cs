using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Packages.Npm;

/// <summary>A client of npm's, the whole proxy, and a registry that behaves as the public one does.</summary>
public sealed class NpmRegistryTests : IAsyncLifetime
{
    private const string Abbreviated = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

    // Read as a package's document there would be nothing left of it.
    private const string Service = "{ \"name\": \"left\", \"dist-tags\": { \"latest\": \"2.0.0\" }, \"versions\": { \"2.0.0\": {} }, \"time\": {} }";

    private readonly List<string> _asked = [];
    private readonly Dictionary<string, DateTimeOffset> _versions = new()
    {
        ["1.0.0"] = DateTimeOffset.UtcNow.AddDays(-90),
        ["1.1.0"] = DateTimeOffset.UtcNow.AddDays(-30),
        ["2.0.0-rc.1"] = DateTimeOffset.UtcNow.AddDays(-20),
        ["2.0.0"] = DateTimeOffset.UtcNow.AddHours(-5),
        ["2.0.1-rc.1"] = DateTimeOffset.UtcNow.AddHours(-4),
    };

    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private HttpClient _client = null!;
    private string? _coding;
    private bool _knowsTimes = true;
    private string? _found;
    private Func<HttpContext, string, Task>? _send;
    private Func<string, string, string> _tarball = (name, version) => $"https://localhost/npm/{name}/-/left-{version}.tgz";

    public async Task InitializeAsync() => await StartAsync("packages: { min_age: 3d, min_age_exclude: ['@ours/*'] }");

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _proxy.DisposeAsync();
        await _origin.DisposeAsync();
    }

    [Theory]
    [InlineData(Abbreviated, false)]
    [InlineData("application/json", false)]
    [InlineData(Abbreviated, true)]
    [InlineData("application/json", true)]
    public async Task A_young_version_is_in_no_document_and_the_tags_are_moved_back(string accept, bool secure)
    {
        using var answer = await GetAsync("/npm/left", accept, secure: secure);
        var document = await ReadAsync(answer);
        Assert.Equal(["1.0.0", "1.1.0", "2.0.0-rc.1"], document.GetProperty("versions").EnumerateObject().Select(v => v.Name));
        Assert.Equal("1.1.0", document.GetProperty("dist-tags").GetProperty("latest").GetString());
        Assert.Equal("2.0.0-rc.1", document.GetProperty("dist-tags").GetProperty("next").GetString());
        Assert.False(document.GetProperty("dist-tags").TryGetProperty("only", out _));
        if (accept == "application/json")
        {
            Assert.Equal(["created", "modified", "1.0.0", "1.1.0", "2.0.0-rc.1"], document.GetProperty("time").EnumerateObject().Select(v => v.Name));
            Assert.Equal(_versions["2.0.0-rc.1"].ToUnixTimeMilliseconds(), document.GetProperty("time").GetProperty("modified").GetDateTimeOffset().ToUnixTimeMilliseconds());
        }

        Assert.True(answer.Headers.CacheControl!.NoStore);
        Assert.Contains("2.0.0 (until ", Assert.Single(answer.Headers.GetValues("npm-notice")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    public async Task Whatever_coding_the_document_comes_in_it_is_read(string coding)
    {
        _coding = coding;
        using var answer = await GetAsync("/npm/left", Abbreviated, m => m.Headers.TryAddWithoutValidation("Accept-Encoding", "gzip, deflate, br"));
        Assert.Empty(answer.Content.Headers.ContentEncoding);
        Assert.Equal("1.1.0", (await ReadAsync(answer)).GetProperty("dist-tags").GetProperty("latest").GetString());
    }

    [Fact]
    public async Task The_tarball_of_a_young_version_is_refused_with_the_time_from_which_it_can_be_had()
    {
        using var young = await GetAsync("/npm/left/-/left-2.0.0.tgz");
        Assert.Equal(HttpStatusCode.Forbidden, young.StatusCode);
        var until = (_versions["2.0.0"] + TimeSpan.FromDays(3)).UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
        Assert.Contains($"it can be had from {until}", young.ReasonPhrase, StringComparison.Ordinal);
        Assert.Equal("too_young", (await ReadAsync(young)).GetProperty("error").GetString());

        using var old = await GetAsync("/npm/left/-/left-1.1.0.tgz");
        Assert.Equal("tarball of 1.1.0", await old.Content.ReadAsStringAsync());
        using var none = await GetAsync("/npm/left/-/left-9.9.9.tgz");
        Assert.Equal(HttpStatusCode.Forbidden, none.StatusCode);
        using var escaped = await GetAsync("/npm/left/%2d/left-2%2e0.0.tgz");
        Assert.Equal(HttpStatusCode.Forbidden, escaped.StatusCode);
        using var head = await _client.SendAsync(new HttpRequestMessage(HttpMethod.Head, _origin.Http + "/npm/left/-/left-2.0.0.tgz"));
        Assert.Equal(HttpStatusCode.Forbidden, head.StatusCode);
        // The times are remembered: one document for all of these but the version that nobody knows.
        Assert.Equal(2, _asked.Count(a => a == "200 /npm/left" || a == "304 /npm/left"));
    }

    [Theory]
    [InlineData("/npm//left/-/left-2.0.0.tgz")]
    [InlineData("/npm/left//-/left-2.0.0.tgz")]
    [InlineData("/npm/left/./-/left-2.0.0.tgz")]
    [InlineData("/npm/left/x/../-/left-2.0.0.tgz")]
    [InlineData("/npm/left/%2e/-/left-2.0.0.tgz")]
    [InlineData("/npm/left/-/left-2.0.0.tgz/")]
    [InlineData("/npm/left/-/left-2.0.0.tgz?write=true")]
    [InlineData("/npm/left/2.0.0?write=true")]
    public async Task No_spelling_of_its_address_gets_a_young_version(string path)
    {
        using var young = await GetAsync(path);
        Assert.Equal(HttpStatusCode.Forbidden, young.StatusCode);
        using var padded = await GetAsync("/npm/left" + string.Concat(Enumerable.Repeat("/.", 2000)) + "/-/left-2.0.0.tgz");
        Assert.Equal(HttpStatusCode.Forbidden, padded.StatusCode);
        using var document = await GetAsync("/npm//left/");
        Assert.DoesNotContain("2.0.0\"", await document.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>As npm deprecate and npm unpublish do: what they read is sent back whole.</summary>
    [Fact]
    public async Task What_is_read_to_be_changed_is_whole_and_of_now()
    {
        for (var i = 0; i < 2; i++)
        {
            using var answer = await GetAsync("/npm/left?write=true", "application/json");
            Assert.Equal(_versions.Keys, (await ReadAsync(answer)).GetProperty("versions").EnumerateObject().Select(v => v.Name));
        }

        Assert.Equal(2, _asked.Count(a => a == "200 /npm/left"));
    }

    [Fact]
    public async Task The_list_of_tags_has_them_moved_back_too()
    {
        using var answer = await GetAsync("/npm/-/package/left/dist-tags", "*/*");
        Assert.Equal(["latest 1.1.0", "next 2.0.0-rc.1", "old 1.0.0"], (await ReadAsync(answer)).EnumerateObject().Select(t => $"{t.Name} {t.Value.GetString()}"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("gzip")]
    public async Task Search_shows_what_can_be_had(string coding)
    {
        _coding = coding.Length > 0 ? coding : null;
        using var answer = await GetAsync("/npm/-/v1/search?text=left&size=20", "*/*", m => m.Headers.TryAddWithoutValidation("Accept-Encoding", "gzip"));
        var found = (await ReadAsync(answer)).GetProperty("objects").EnumerateArray().ToList();
        Assert.Equal(["left 1.1.0", "@ours/left 2.0.0", "old 3.0.0"], found.Select(o => $"{o.GetProperty("package").GetProperty("name").GetString()} {o.GetProperty("package").GetProperty("version").GetString()}"));
        Assert.Equal(_versions["1.1.0"].ToUnixTimeMilliseconds(), found[0].GetProperty("package").GetProperty("date").GetDateTimeOffset().ToUnixTimeMilliseconds());
        Assert.Equal("kept", found[0].GetProperty("package").GetProperty("description").GetString());
        Assert.DoesNotContain(_versions["2.0.0"].ToString("yyyy-MM-ddTHH", CultureInfo.InvariantCulture), found[0].GetRawText(), StringComparison.Ordinal);
        Assert.True(answer.Headers.CacheControl!.NoStore);
        using var spelled = await GetAsync("/npm//-/v1/./search/?text=left", "*/*");
        Assert.DoesNotContain("gone", await spelled.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_search_that_cannot_be_read_shows_nothing()
    {
        _found = """{"objects":[{"package":{"version":"2.0.0"}}]}""";
        using var answer = await GetAsync("/npm/-/v1/search?text=left", "*/*");
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        _found = """{"objects":[],"total":0}""";
        using var none = await GetAsync("/npm/-/v1/search?text=none", "*/*");
        Assert.Equal(_found, await none.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("NTLM TlRMTVNTUAABAAAA")]
    [InlineData("Negotiate YII=")]
    [InlineData("Basic dTpw")]
    public async Task Whoever_proves_who_they_are_for_a_connection_is_answered(string credentials)
    {
        using var answer = await GetAsync("/npm/left", change: m => m.Headers.TryAddWithoutValidation("Authorization", credentials));
        Assert.Equal("1.1.0", (await ReadAsync(answer)).GetProperty("dist-tags").GetProperty("latest").GetString());
    }

    [Fact]
    public async Task A_version_alone_is_refused_and_a_tag_leads_to_what_it_stands_on_now()
    {
        using var young = await GetAsync("/npm/left/2.0.0");
        Assert.Equal(HttpStatusCode.Forbidden, young.StatusCode);
        using var latest = await GetAsync("/npm/left/latest");
        Assert.Equal("1.1.0", (await ReadAsync(latest)).GetProperty("version").GetString());
        using var old = await GetAsync("/npm/left/1.0.0");
        Assert.Equal("1.0.0", (await ReadAsync(old)).GetProperty("version").GetString());
    }

    [Fact]
    public async Task Conditions_HEAD_and_ranges_are_about_what_is_shown()
    {
        using var first = await GetAsync("/npm/left");
        var (tag, body) = (first.Headers.ETag!, await first.Content.ReadAsByteArrayAsync());
        Assert.NotEqual("\"of the registry\"", tag.Tag);
        using var same = await GetAsync("/npm/left", change: m => m.Headers.IfNoneMatch.Add(tag));
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        using var range = await GetAsync("/npm/left", change: m => m.Headers.TryAddWithoutValidation("Range", "bytes=5-9"));
        Assert.Equal((HttpStatusCode.PartialContent, Encoding.UTF8.GetString(body[5..10])), (range.StatusCode, await range.Content.ReadAsStringAsync()));
        using var asHead = new HttpRequestMessage(HttpMethod.Head, _origin.Http + "/npm/left");
        asHead.Headers.TryAddWithoutValidation("Accept", Abbreviated);
        asHead.Headers.TryAddWithoutValidation("User-Agent", "npm/10.0.0");
        using var head = await _client.SendAsync(asHead);
        Assert.Equal((HttpStatusCode.OK, body.LongLength, tag), (head.StatusCode, head.Content.Headers.ContentLength, head.Headers.ETag));
        // The registry sent each form once and confirmed it from then on; the client's own tag never reached it.
        Assert.Equal(2, _asked.Count(a => a.StartsWith("200 ", StringComparison.Ordinal)));
        Assert.All(_asked.Skip(2), a => Assert.StartsWith("304 ", a));
    }

    [Fact]
    public async Task Where_all_is_old_enough_the_document_passes_as_it_is_and_the_full_one_is_not_asked_for()
    {
        _versions.Remove("2.0.0");
        _versions.Remove("2.0.1-rc.1");
        using var answer = await GetAsync("/npm/left");
        Assert.Equal("\"of the registry\"", answer.Headers.ETag!.Tag);
        Assert.False(answer.Headers.Contains("npm-notice"));
        Assert.Single(_asked);
    }

    [Fact]
    public async Task Excluded_packages_pass_and_those_whose_times_nobody_tells_do_not()
    {
        _knowsTimes = false;
        using var ours = await GetAsync("/npm/@ours%2fleft");
        Assert.Equal(5, (await ReadAsync(ours)).GetProperty("versions").EnumerateObject().Count());
        using var file = await GetAsync("/npm/@ours/left/-/left-2.0.0.tgz");
        Assert.Equal("tarball of 2.0.0", await file.Content.ReadAsStringAsync());
        using var others = await GetAsync("/npm/left");
        Assert.Empty((await ReadAsync(others)).GetProperty("versions").EnumerateObject());
        using var tarball = await GetAsync("/npm/left/-/left-1.0.0.tgz");
        Assert.Contains("does not say when left 1.0.0 was published", tarball.ReasonPhrase, StringComparison.Ordinal);
    }

    public static TheoryData<string> Unreadable => ["comma", "nan", "cut", "more", "utf16", "gzip", "empty", "blanks", "part"];

    /// <summary>What one client cannot read another may, and the young version is in it.</summary>
    [Theory]
    [MemberData(nameof(Unreadable))]
    public async Task A_document_that_cannot_be_read_is_refused(string how)
    {
        _send = (context, text) =>
        {
            var response = context.Response;
            response.ContentType = how == "blanks" ? "application/octet-stream" : "application/json";
            if (how == "gzip")
                response.Headers.ContentEncoding = "gzip";
            if (how == "part")
                (response.StatusCode, response.Headers.ContentRange) = (206, "bytes 0-9/10");
            return response.Body.WriteAsync(how switch
            {
                "comma" => Encoding.UTF8.GetBytes(text[..^1] + ",}"),
                "nan" => Encoding.UTF8.GetBytes(text[..^1] + ",\"x\":NaN}"),
                "cut" => Encoding.UTF8.GetBytes(text[..^1]),
                "more" => Encoding.UTF8.GetBytes(text + "x"),
                "utf16" => Encoding.Unicode.GetPreamble().Concat(Encoding.Unicode.GetBytes(text)).ToArray(),
                "empty" => " "u8.ToArray(),
                "blanks" => Encoding.UTF8.GetBytes(new string(' ', 100_000) + text + "x"),
                _ => Encoding.UTF8.GetBytes(text),
            }).AsTask();
        };
        foreach (var accept in new[] { Abbreviated, "application/json" })
        {
            using var answer = await GetAsync("/npm/left", accept);
            Assert.Equal((HttpStatusCode.BadGateway, "publish_times_unknown"), (answer.StatusCode, Assert.Single(answer.Headers.GetValues("X-Discobot-Error"))));
            Assert.DoesNotContain("2.0.0", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(201, "")]
    [InlineData(203, "")]
    [InlineData(200, "\uFEFF")]
    public async Task Whatever_says_that_there_is_a_document_is_read_as_one(int status, string before)
    {
        _send = (context, text) =>
        {
            (context.Response.StatusCode, context.Response.ContentType) = (status, "application/json");
            return context.Response.WriteAsync(before + text);
        };
        using var answer = await GetAsync("/npm/left", "application/json");
        Assert.Equal("1.1.0", (await ReadAsync(answer)).GetProperty("dist-tags").GetProperty("latest").GetString());
    }

    /// <summary>As GitHub has them, and as cnpm had them: from an index's answer, and then from a lockfile.</summary>
    [Theory]
    [InlineData("/npm/download/left/{0}/abcdef", "/npm/./download/left/{0}/abcdef?x=1")]
    [InlineData("/npm/left/download/left-{0}.tgz", "/npm/left/download/left-{0}.tgz")]
    [InlineData("/files/{0}", "/files//{0}")]
    public async Task A_young_file_is_refused_wherever_an_index_has_it(string address, string asked)
    {
        _tarball = (_, version) => $"https://localhost{string.Format(CultureInfo.InvariantCulture, address, version)}";
        using var document = await GetAsync("/npm/left");
        Assert.Equal(HttpStatusCode.OK, document.StatusCode);
        foreach (var secure in new[] { false, true })
        {
            using var young = await GetAsync(string.Format(CultureInfo.InvariantCulture, asked, "2.0.0"), secure: secure, change: m => m.Headers.Remove("User-Agent"));
            Assert.Equal(HttpStatusCode.Forbidden, young.StatusCode);
            Assert.Contains("left 2.0.0 was published", young.ReasonPhrase, StringComparison.Ordinal);
        }

        using var old = await GetAsync(string.Format(CultureInfo.InvariantCulture, asked, "1.1.0"));
        Assert.NotEqual(HttpStatusCode.Forbidden, old.StatusCode);
    }

    [Fact]
    public async Task A_file_as_cnpm_had_it_is_refused_also_where_no_index_was_asked_for()
    {
        using var young = await GetAsync("/npm/left/download/left-2.0.0.tgz");
        Assert.Equal(HttpStatusCode.Forbidden, young.StatusCode);
        using var scoped = await GetAsync("/npm/@ours/left/download/@ours/left-2.0.0.tgz");
        Assert.NotEqual(HttpStatusCode.Forbidden, scoped.StatusCode);
    }

    [Fact]
    public void What_is_remembered_of_files_is_bounded()
    {
        var tarballs = new NpmTarballs();
        tarballs.Remember("left", Enumerable.Range(0, 3 * NpmTarballs.MaxRecent).Select(i => ($"{i}.0.0", $"https://x.test/{i}")), []);
        Assert.InRange(tarballs.Count, NpmTarballs.MaxRecent, 2 * NpmTarballs.MaxRecent);
    }

    [Fact]
    public async Task What_is_no_package_passes_as_it_came()
    {
        using var answer = await GetAsync("/other/file");
        Assert.Equal(("text/plain", "no package"), (answer.Content.Headers.ContentType!.MediaType, await answer.Content.ReadAsStringAsync()));
        using var missing = await GetAsync("/npm/unknown");
        Assert.Equal((HttpStatusCode.NotFound, "{\"error\":\"Not found\"}"), (missing.StatusCode, await missing.Content.ReadAsStringAsync()));
    }

    /// <summary>Services below "/-/" say other things than packages' documents do, in whatever JSON.</summary>
    [Theory]
    [InlineData("/-/all")]
    [InlineData("/npm/-/all")]
    [InlineData("/npm/-/all/since?stale=update_after&startkey=1")]
    [InlineData("/npm/-/npm/v1/security/audits/quick")]
    [InlineData("/npm/-/npm/v1/security/advisories/bulk")]
    [InlineData("/npm/-/npm/v1/keys")]
    [InlineData("/npm/-/npm/v1/attestations/left@2.0.0")]
    [InlineData("/npm/-/user/org.couchdb.user:left")]
    [InlineData("/npm/-/whoami")]
    public async Task A_service_of_the_registry_is_no_package_and_passes_as_it_came(string path)
    {
        using var answer = await GetAsync(path);
        Assert.Equal((HttpStatusCode.OK, Service), (answer.StatusCode, await answer.Content.ReadAsStringAsync()));
        Assert.False(answer.Headers.Contains("npm-notice"));
    }

    [Fact]
    public async Task A_freeze_date_hides_what_came_later_and_a_change_of_it_counts_at_once()
    {
        await DisposeAsync();
        var date = DateTimeOffset.UtcNow.AddDays(-60).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        await StartAsync($"packages: {{ before: {date} }}");
        Assert.Equal("1.0.0", (await ReadAsync(await GetAsync("/npm/left"))).GetProperty("dist-tags").GetProperty("latest").GetString());
        ((Infrastructure.Live<AgeRules>)_proxy.Services.GetService(typeof(Infrastructure.Live<AgeRules>))!).Replace(new AgeRules(new PackageOptions()));
        Assert.Equal("2.0.0", (await ReadAsync(await GetAsync("/npm/left"))).GetProperty("dist-tags").GetProperty("latest").GetString());
    }

    private async Task StartAsync(string yaml)
    {
        _proxy = await RunningProxy.StartAsync(yaml);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), AnswerAsync);
        _client = _proxy.Client();
    }

    private async Task<HttpResponseMessage> GetAsync(string path, string accept = Abbreviated, Action<HttpRequestMessage>? change = null, bool secure = false)
    {
        using var message = new HttpRequestMessage(
            HttpMethod.Get, new Uri((secure ? _origin.Https : _origin.Http) + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        message.Headers.TryAddWithoutValidation("Accept", accept);
        message.Headers.TryAddWithoutValidation("User-Agent", "npm/10.0.0");
        change?.Invoke(message);
        return await _client.SendAsync(message);
    }

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage answer) => JsonSerializer.Deserialize<JsonElement>(await answer.Content.ReadAsByteArrayAsync());

    private async Task AnswerAsync(HttpContext context)
    {
        // As servers and CDNs read it.
        var path = RegistryPath.Of(context.Request.Path.Value!)!;
        if (path == "/npm/-/package/left/dist-tags")
        {
            await SendAsync(context, """{"latest":"2.0.0","next":"2.0.1-rc.1","old":"1.0.0"}""");
            return;
        }

        if (path == "/npm/-/v1/search")
        {
            // The search knows packages before anybody can have them, and some that nobody can.
            await SendAsync(context, _found ?? JsonSerializer.Serialize(new
            {
                objects = new[]
                {
                    Found("left", "2.0.0", _versions["2.0.0"]), Found("gone", "1.0.0", _versions["2.0.0"]), Found("@ours/left", "2.0.0", _versions["2.0.0"]), Found("old", "3.0.0", _versions["1.0.0"]),
                },
                total = 4,
            }));
            return;
        }

        if (path.StartsWith("/-/", StringComparison.Ordinal) || path.StartsWith("/npm/-/", StringComparison.Ordinal))
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(Service);
            return;
        }

        var name = path.StartsWith("/npm/@ours/left", StringComparison.Ordinal) ? "@ours/left" : "left";
        if (path == $"/npm/{name}")
        {
            await SendAsync(context, Document(name, context.Request.Headers.Accept.ToString().Contains("install-v1", StringComparison.Ordinal)));
        }
        else if (path.StartsWith($"/npm/{name}/-/left-", StringComparison.Ordinal))
        {
            await context.Response.WriteAsync("tarball of " + path.Split("left-")[1][..^4]);
        }
        else if (path.StartsWith($"/npm/{name}/", StringComparison.Ordinal))
        {
            var version = path.Split('/')[3];
            await SendAsync(context, JsonSerializer.Serialize(Manifest(name, version == "latest" ? "2.0.0" : version)));
        }
        else if (path == "/other/file")
        {
            context.Response.ContentType = "text/plain";
            await context.Response.WriteAsync("no package");
        }
        else
        {
            context.Response.StatusCode = 404;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync("{\"error\":\"Not found\"}");
        }
    }

    private static object Found(string name, string version, DateTimeOffset published) =>
        new { updated = published, package = new { name, version, date = published, description = "kept" }, score = new { final = 1.0 } };

    private string Document(string name, bool isAbbreviated)
    {
        var document = new Dictionary<string, object>
        {
            ["name"] = name,
            ["dist-tags"] = new Dictionary<string, string> { ["latest"] = _versions.ContainsKey("2.0.0") ? "2.0.0" : "1.1.0", ["next"] = "2.0.1-rc.1", ["only"] = "2.0.0", ["old"] = "1.0.0" }
                .Where(t => _versions.ContainsKey(t.Value)).ToDictionary(),
            ["versions"] = _versions.Keys.ToDictionary(v => v, v => Manifest(name, v)),
        };
        var modified = _versions.Values.Max();
        if (isAbbreviated)
            document["modified"] = modified;
        else if (_knowsTimes)
            document["time"] = _versions.Select(v => (v.Key, v.Value)).Prepend(("modified", modified)).Prepend(("created", _versions.Values.Min())).ToDictionary(t => t.Item1, t => t.Item2);
        if (isAbbreviated && !_knowsTimes)
            document.Remove("modified");
        return JsonSerializer.Serialize(document);
    }

    private Dictionary<string, object> Manifest(string name, string version) => new()
    {
        ["name"] = name,
        ["version"] = version,
        ["dist"] = new Dictionary<string, string> { ["tarball"] = _tarball(name, version) },
    };

    // As the public one: a tag of each form, no lifetime.
    private async Task SendAsync(HttpContext context, string text)
    {
        if (_send is not null)
        {
            await _send(context, text);
            return;
        }

        var tag = _versions.ContainsKey("2.0.0") ? $"\"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8))}\"" : "\"of the registry\"";
        context.Response.Headers.ETag = tag;
        context.Response.Headers.Vary = "Accept-Encoding, Accept";
        context.Response.ContentType = "application/json";
        var isSame = context.Request.Headers.IfNoneMatch == tag;
        context.Response.StatusCode = isSame ? 304 : 200;
        lock (_asked)
            _asked.Add($"{context.Response.StatusCode} {context.Request.Path}");
        if (isSame)
            return;
        var bytes = Encoding.UTF8.GetBytes(text);
        if (_coding is not null)
        {
            using var packed = new MemoryStream();
            await using (Stream packing = _coding == "br" ? new BrotliStream(packed, CompressionLevel.Fastest) : new GZipStream(packed, CompressionLevel.Fastest))
                await packing.WriteAsync(bytes);
            bytes = packed.ToArray();
            context.Response.Headers.ContentEncoding = _coding;
        }

        context.Response.ContentLength = bytes.Length;
        await context.Response.Body.WriteAsync(bytes);
    }
}
