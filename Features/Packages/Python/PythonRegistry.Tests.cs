using System.Net;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Packages.Python;

/// <summary>A client as pip, the whole proxy, and an index that has both forms and answers by Accept.</summary>
public sealed class PythonRegistryTests : IAsyncLifetime
{
    private const string Json = "application/vnd.pypi.simple.v1+json";
    private const string Pip = Json + ", application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";

    private readonly List<string> _asked = [];
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private HttpClient _client = null!;
    private bool _hasJson = true;
    private bool _hasTimes = true;
    private string _fileHost = "";
    private string _filePath = "/packages/aa/";

    private static readonly (string Version, double Days)[] Versions = [("1.0", 90), ("1.1", 30), ("2.0", 0.2)];

    public async Task InitializeAsync()
    {
        // Nobody here asks the world.
        _proxy = await RunningProxy.StartAsync("""
            packages: { min_age: 3d, min_age_exclude: [ours-*] }
            allowlist: { enabled: true, domains: [localhost, files.pythonhosted.org], ips: [127.0.0.1] }
            """);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), AnswerAsync);
        _client = _proxy.Client();
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _proxy.DisposeAsync();
        await _origin.DisposeAsync();
    }

    [Fact]
    public async Task A_young_file_is_in_neither_form_of_the_index()
    {
        using var json = await GetAsync("/simple/upper/", Pip);
        Assert.Equal(Json, json.Content.Headers.ContentType!.MediaType);
        var index = JsonSerializer.Deserialize<JsonElement>(await json.Content.ReadAsStringAsync());
        Assert.Equal(["upper-1.0-py3-none-any.whl", "upper-1.1-py3-none-any.whl"], index.GetProperty("files").EnumerateArray().Select(f => f.GetProperty("filename").GetString()));
        Assert.Equal(["1.0", "1.1"], index.GetProperty("versions").EnumerateArray().Select(v => v.GetString()));

        using var html = await GetAsync("/simple/upper/", "text/html");
        Assert.Equal("text/html", html.Content.Headers.ContentType!.MediaType);
        var page = await html.Content.ReadAsStringAsync();
        Assert.Contains("<a href=\"/packages/aa/upper-1.1-py3-none-any.whl#sha256=1.1\" data-requires-python=\"&gt;=3\" data-core-metadata=\"sha256=m\" "
            + "data-dist-info-metadata=\"sha256=m\" data-yanked=\"a &lt;b&gt;\">upper-1.1-py3-none-any.whl</a>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("2.0", page, StringComparison.Ordinal);
        Assert.NotEqual(json.Headers.ETag, html.Headers.ETag);
        using var same = await GetAsync("/simple/upper/", "text/html", html.Headers.ETag!.ToString());
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        // One form of it is asked for, stored and confirmed for all.
        Assert.Equal(["200 /simple/upper/", "304 /simple/upper/", "304 /simple/upper/"], _asked);
    }

    [Theory]
    [InlineData("/packages/aa/upper-2.0-py3-none-any.whl", HttpStatusCode.Forbidden)]
    [InlineData("/packages/aa/upper-2.0-py3-none-any.whl.metadata", HttpStatusCode.Forbidden)]
    [InlineData("/packages/aa/upper-1.1-py3-none-any.whl", HttpStatusCode.OK)]
    [InlineData("/packages/aa/upper-1.1-py3-none-any.whl.metadata", HttpStatusCode.OK)]
    [InlineData("/packages/aa/upper-3.0.tar.gz", HttpStatusCode.Forbidden)]
    [InlineData("/packages/aa/ours-x-2.0.tar.gz", HttpStatusCode.OK)]
    [InlineData("/packages/aa/unlisted-2.0.tar.gz", HttpStatusCode.Forbidden)]
    public async Task A_young_file_and_what_belongs_to_it_are_refused_whether_or_not_the_index_was_asked_for(string path, HttpStatusCode status)
    {
        using var answer = await GetAsync(path, "*/*");
        Assert.Equal(status, answer.StatusCode);
        if (path.Contains("2.0-py3", StringComparison.Ordinal))
            Assert.Contains("upper-2.0-py3-none-any.whl was published", answer.ReasonPhrase, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_lies_below_packages_and_simple_and_is_none_passes_for_other_clients()
    {
        using var file = await GetAsync("/packages/aa/unlisted-2.0.zip", "*/*", agent: "curl/8");
        Assert.Equal(HttpStatusCode.OK, file.StatusCode);
        _hasJson = false;
        using var page = await GetAsync("/simple/upper/", "text/html", agent: "curl/8");
        Assert.Equal("<a>page</a>", await page.Content.ReadAsStringAsync());
        using var pip = await GetAsync("/simple/upper/", Pip);
        Assert.Equal(HttpStatusCode.BadGateway, pip.StatusCode);
        Assert.Contains("no JSON form", pip.ReasonPhrase, StringComparison.Ordinal);
    }

    /// <summary>devpi has its index at "+simple" and its files at "+f" and "+e"; versions of it differ in whether they tell times.</summary>
    [Fact]
    public async Task An_index_as_devpi_has_it_is_one_too_and_where_it_tells_no_times_the_reason_is_told()
    {
        using var young = await GetAsync("/root/pypi/+f/2ab/0123456789abc/upper-2.0-py3-none-any.whl", "*/*");
        Assert.Equal(HttpStatusCode.Forbidden, young.StatusCode);
        using var old = await GetAsync("/root/pypi/+e/https_host/upper-1.1-py3-none-any.whl", "*/*");
        Assert.Equal(HttpStatusCode.OK, old.StatusCode);
        using var index = await GetAsync("/root/pypi/+simple/upper/", Pip);
        Assert.Equal(["upper-1.0-py3-none-any.whl", "upper-1.1-py3-none-any.whl"], JsonSerializer.Deserialize<JsonElement>(await index.Content.ReadAsStringAsync())
            .GetProperty("files").EnumerateArray().Select(f => f.GetProperty("filename").GetString()));

        _hasTimes = false;
        using var untold = await GetAsync("/root/dev/+simple/upper/", Pip);
        Assert.Equal(HttpStatusCode.BadGateway, untold.StatusCode);
        Assert.Contains("does not tell them (upload-time, PEP 700); packages.min_age_exclude lets it pass", untold.ReasonPhrase, StringComparison.Ordinal);
        using var ours = await GetAsync("/root/dev/+f/2ab/0123456789abc/ours-x-2.0.tar.gz", "*/*");
        Assert.Equal(HttpStatusCode.OK, ours.StatusCode);
    }

    /// <summary>The host that an index sends its clients to has no index of its own.</summary>
    [Fact]
    public async Task A_file_that_its_index_sends_to_another_host_is_as_old_there_and_a_young_one_is_not_sent()
    {
        using var young = await GetAsync("/moved/packages/aa/upper-2.0-py3-none-any.whl", "*/*");
        Assert.Equal(HttpStatusCode.Forbidden, young.StatusCode);
        using var unknown = await GetAsync("/store/packages/bb/upper-1.1-py3-none-any.whl", "*/*", host: "127.0.0.1");
        Assert.Equal(HttpStatusCode.Forbidden, unknown.StatusCode);
        using var old = await GetAsync("/moved/packages/aa/upper-1.1-py3-none-any.whl", "*/*");
        Assert.Equal(HttpStatusCode.Redirect, old.StatusCode);
        using var there = await GetAsync(old.Headers.Location!.PathAndQuery, "*/*", host: old.Headers.Location.Host);
        Assert.Equal((HttpStatusCode.OK, "file"), (there.StatusCode, await there.Content.ReadAsStringAsync()));
        using var beside = await GetAsync("/store/packages/bb/upper-2.0-py3-none-any.whl", "*/*", host: "127.0.0.1");
        Assert.Equal(HttpStatusCode.Forbidden, beside.StatusCode);
    }

    /// <summary>Its index says of a file of another host, which has an index too, that it is old.</summary>
    [Theory]
    [InlineData("127.0.0.1", "/packages/aa/upper-2.0-py3-none-any.whl", HttpStatusCode.Forbidden)]
    [InlineData("127.0.0.1", "/packages/aa/upper-1.1-py3-none-any.whl", HttpStatusCode.OK)]
    [InlineData("127.0.0.1", "/store/packages/bb/upper-1.1-py3-none-any.whl", HttpStatusCode.OK)]
    [InlineData("files.pythonhosted.org", "/packages/aa/upper-2.0-py3-none-any.whl", HttpStatusCode.BadGateway)]
    public async Task An_index_vouches_for_the_files_of_another_host_only_where_that_has_none(string host, string path, HttpStatusCode status)
    {
        _fileHost = host == "127.0.0.1" ? $"http://127.0.0.1:{_origin.HttpPort}" : $"https://{host}";
        _filePath = path[..(path.LastIndexOf('/') + 1)];
        using var index = await GetAsync("/foreign/simple/upper/", Pip);
        Assert.Contains("upper-2.0-py3-none-any.whl", await index.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var message = new HttpRequestMessage(HttpMethod.Get, _fileHost + path);
        message.Headers.TryAddWithoutValidation("User-Agent", "pip/23.2.1 {}");
        using var file = await _client.SendAsync(message);
        Assert.Equal(status, file.StatusCode);
        if (host != "127.0.0.1")
            Assert.Contains("pypi.org may not be asked", file.ReasonPhrase, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_description_tells_of_the_newest_version_that_is_shown()
    {
        using var answer = await GetAsync("/pypi/upper/json", "application/json");
        var told = JsonSerializer.Deserialize<JsonElement>(await answer.Content.ReadAsStringAsync());
        Assert.Equal("1.1", told.GetProperty("info").GetProperty("version").GetString());
        Assert.Equal(["1.0", "1.1"], told.GetProperty("releases").EnumerateObject().Select(r => r.Name));
        Assert.Equal("upper-1.1-py3-none-any.whl", Assert.Single(told.GetProperty("urls").EnumerateArray()).GetProperty("filename").GetString());
        using var young = await GetAsync("/pypi/upper/2.0/json", "application/json");
        Assert.Equal(HttpStatusCode.Forbidden, young.StatusCode);
        using var old = await GetAsync("/pypi/upper/1.0/json", "application/json");
        Assert.Equal("\"json 1.0\"", old.Headers.ETag!.Tag);
    }

    private async Task<HttpResponseMessage> GetAsync(string path, string accept, string? tag = null, string agent = "pip/23.2.1 {}", string host = "localhost")
    {
        using var message = new HttpRequestMessage(HttpMethod.Get, _origin.Http.Replace("localhost", host, StringComparison.Ordinal) + path);
        message.Headers.TryAddWithoutValidation("Accept", accept);
        message.Headers.TryAddWithoutValidation("User-Agent", agent);
        if (tag is not null)
            message.Headers.TryAddWithoutValidation("If-None-Match", tag);
        return await _client.SendAsync(message);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        if (path.StartsWith("/moved/packages/", StringComparison.Ordinal))
            context.Response.Redirect($"http://127.0.0.1:{_origin.HttpPort}/store/packages/bb/{path.Split('/')[^1]}?sig=1");
        else if (path.StartsWith("/packages/", StringComparison.Ordinal) || path.Contains("/+", StringComparison.Ordinal) && !path.Contains("+simple", StringComparison.Ordinal) || path.StartsWith("/store/", StringComparison.Ordinal) && path.EndsWith("whl", StringComparison.Ordinal))
            await context.Response.WriteAsync("file");
        else if (path == "/foreign/simple/upper/")
            await SendAsync(context, Json, "foreign", new { meta = new { api_version = "1.1" }, name = "upper", files = Versions.Select(v => Foreign(File(v))) });
        else if (path.EndsWith("simple/upper/", StringComparison.Ordinal) && !path.StartsWith("/store/", StringComparison.Ordinal) && _hasJson && context.Request.Headers.Accept.ToString().StartsWith(Json, StringComparison.Ordinal))
            await SendAsync(context, Json, "simple", new { meta = new { api_version = "1.1" }, name = "upper", versions = Versions.Select(v => v.Version), files = Versions.Select(v => File(v).Where(f => _hasTimes || f.Key != "upload-time").ToDictionary()) });
        else if (path == "/simple/upper/")
            await Results.Content("<a>page</a>", "text/html").ExecuteAsync(context);
        else if (path == "/pypi/upper/json")
            await SendAsync(context, "application/json", "json", Described("2.0", releases: true));
        else if (path.StartsWith("/pypi/upper/", StringComparison.Ordinal))
            await SendAsync(context, "application/json", $"json {path.Split('/')[3]}", Described(path.Split('/')[3], releases: false));
        else
            context.Response.StatusCode = 404;
    }

    private async Task SendAsync(HttpContext context, string type, string tag, object what)
    {
        context.Response.Headers.ETag = $"\"{tag}\"";
        context.Response.Headers.Vary = "Accept, Accept-Encoding";
        var isSame = context.Request.Headers.IfNoneMatch == $"\"{tag}\"";
        _asked.Add($"{(isSame ? 304 : 200)} {context.Request.Path}");
        if (isSame)
            context.Response.StatusCode = 304;
        else
            await Results.Text(JsonSerializer.Serialize(what), type).ExecuteAsync(context);
    }

    private static Dictionary<string, object> File((string Version, double Days) version) => new()
    {
        ["filename"] = $"upper-{version.Version}-py3-none-any.whl",
        ["url"] = $"/packages/aa/upper-{version.Version}-py3-none-any.whl",
        ["hashes"] = new { md5 = "x", sha256 = version.Version },
        ["requires-python"] = ">=3",
        ["core-metadata"] = new { sha256 = "m" },
        ["yanked"] = version.Version == "1.1" ? "a <b>" : false,
        ["upload-time"] = DateTimeOffset.UtcNow.AddDays(-version.Days),
        ["upload_time_iso_8601"] = DateTimeOffset.UtcNow.AddDays(-version.Days),
    };

    private Dictionary<string, object> Foreign(Dictionary<string, object> file)
    {
        file["url"] = _fileHost + _filePath + file["filename"];
        file["upload-time"] = DateTimeOffset.UtcNow.AddDays(-90);
        return file;
    }

    private static Dictionary<string, object> Described(string version, bool releases)
    {
        var told = new Dictionary<string, object> { ["info"] = new { name = "upper", version }, ["urls"] = Versions.Where(v => v.Version == version).Select(File) };
        if (releases)
            told["releases"] = Versions.ToDictionary(v => v.Version, v => new[] { File(v) });
        return told;
    }
}
