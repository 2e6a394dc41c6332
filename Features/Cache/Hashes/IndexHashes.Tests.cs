using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Hashes;

/// <summary>A client, a package registry whose index and files need not agree, and the stage between them.</summary>
public sealed class IndexHashesTests : IAsyncLifetime
{
    private CacheStage _stage = null!;
    private string _form = "npm";
    private string _file = "one";
    private string _named = "one";
    private string _host = "";
    private bool _packed;
    private string? _control;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Origin = AnswerAsync;
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("npm", false)]
    [InlineData("npm", true)]
    [InlineData("npm sha1", false)]
    [InlineData("npm version", false)]
    [InlineData("pypi", false)]
    [InlineData("pypi links", true)]
    [InlineData("pypi description", false)]
    [InlineData("pypi metadata", false)]
    [InlineData("pypi metadata links", false)]
    [InlineData("crates", false)]
    public async Task A_file_that_was_changed_is_asked_for_again_once_its_index_names_another_hash(string form, bool packed)
    {
        (_form, _packed) = (form, packed);
        await IndexAsync();
        await ExpectAsync("MISS", "one");
        await ExpectAsync("HIT", "one");
        (_file, _named) = ("two", "two");
        await ExpectAsync("HIT", "one");
        await IndexAsync();
        using (var range = await GetAsync(FilePath, "bytes=0-1"))
            Assert.Equal("two", await range.Content.ReadAsStringAsync());
        await ExpectAsync("MISS", "two");
        await ExpectAsync("HIT", "two");
    }

    [Theory]
    [InlineData("npm")]
    [InlineData("npm sha1")]
    [InlineData("pypi links")]
    [InlineData("crates")]
    public async Task What_comes_with_another_hash_than_its_index_names_is_passed_on_and_not_kept(string form)
    {
        (_form, _file) = (form, "damaged");
        await IndexAsync();
        await ExpectAsync("MISS", "damaged");
        await ExpectAsync("MISS", "damaged");
        _file = "one";
        await ExpectAsync("MISS", "one");
        await ExpectAsync("HIT", "one");
    }

    [Fact]
    public async Task What_is_stored_is_still_there_while_its_origin_is_away()
    {
        await ExpectAsync("MISS", "one");
        _named = "two";
        await IndexAsync();
        await _stage.StopOriginAsync();
        using var answer = await GetAsync(FilePath);
        Assert.Equal("one", await answer.Content.ReadAsStringAsync());
        Assert.True(answer.Headers.Warning.Count > 0);
    }

    [Theory]
    [InlineData("max-age=3600")]
    [InlineData("no-cache")]
    public async Task An_index_that_answers_from_the_cache_after_a_restart_still_counts(string control)
    {
        _control = control;
        await ExpectAsync("MISS", "one");
        (_file, _named) = ("two", "two");
        await IndexAsync();
        await _stage.Store.CommittedAsync();
        await _stage.RestartAsync();
        await ExpectAsync("HIT", "one");
        await IndexAsync();
        await ExpectAsync("MISS", "two");
    }

    [Fact]
    public async Task An_index_says_nothing_of_the_files_of_another_origin()
    {
        _form = "pypi";
        await ExpectAsync("MISS", "one");
        (_named, _host) = ("two", _stage.Url("").ToString().TrimEnd('/'));
        using (var index = await _stage.GetAsync(_stage.Elsewhere(IndexPath), r => r.Headers.TryAddWithoutValidation("User-Agent", Agent)))
            Assert.Contains(_host + FilePath, await index.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await ExpectAsync("HIT", "one");
        await IndexAsync();
        await ExpectAsync("MISS", "one");
    }

    [Theory]
    [InlineData("npm", "{\"versions\":{\"1\":{\"dist\":")]
    [InlineData("npm", "[]")]
    [InlineData("npm", "{\"dist\":1,\"versions\":[{}]}")]
    [InlineData("npm", "{\"versions\":{\"1\":{\"dist\":{\"tarball\":\"http://[\",\"integrity\":\"sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=\"}}}}")]
    [InlineData("pypi", "{\"files\":[1,{\"url\":\"\\ud800\"}]}")]
    [InlineData("pypi", "<a <a href <a href= <a href=\" <a href=\"#sha256=00\">")]
    [InlineData("crates", "{\"name\":\"foobar\",\"vers\":1}\n{")]
    public async Task What_cannot_be_read_says_nothing(string form, string document)
    {
        (_form, var origin) = (form, _stage.Origin);
        _stage.Origin = context => context.Request.Path == IndexPath ? context.Response.WriteAsync(document) : origin(context);
        await IndexAsync();
        await ExpectAsync("MISS", "one");
        await ExpectAsync("HIT", "one");
    }

    [Fact]
    public void No_more_is_remembered_than_twice_its_size_and_the_last_always()
    {
        var table = new RecentTable<int>(10);
        var keys = Enumerable.Range(0, 100).Select(i => Hash256.Of($"{i}")).ToList();
        for (var i = 0; i < keys.Count; i++)
        {
            table.Add(keys[i], i);
            Assert.Equal(Math.Min(i + 1, 10), keys.Take(i + 1).TakeLast(10).Count(k => table.TryFind(k, out _)));
            Assert.InRange(keys.Count(k => table.TryFind(k, out _)), 0, 20);
        }
    }

    private string Agent => _form.Split(' ')[0] switch { "npm" => "npm/10", "pypi" => "pip/24", _ => "cargo/1.80" };

    private string IndexPath => _form switch
    {
        "npm version" => "/foo/1.0.0",
        "pypi description" => "/pypi/foo/json",
        _ when _form.StartsWith("npm", StringComparison.Ordinal) => "/foo",
        "crates" => "/fo/ob/foobar",
        _ => "/simple/foo/",
    };

    private string FilePath => _form switch
    {
        "crates" => "/crates/foobar/foobar-1.0.0.crate",
        _ when _form.StartsWith("npm", StringComparison.Ordinal) => "/foo/-/foo-1.0.0.tgz",
        _ => "/packages/foo-1.0-py3-none-any.whl" + (_form.Contains("metadata", StringComparison.Ordinal) ? ".metadata" : ""),
    };

    private string Document()
    {
        var file = Encoding.UTF8.GetBytes(_named);
        var (sha256, url) = (Convert.ToHexStringLower(SHA256.HashData(file)), _host + FilePath.Replace(".metadata", "", StringComparison.Ordinal));
        var tarball = $"\"tarball\":\"http://{_stage.Authority}{url}\"";
        var sha1 = Convert.ToHexStringLower(CryptographicOperations.HashData(HashAlgorithmName.SHA1, file));
        var dist = $"\"dist\":{{\"signatures\":[{{}}],{tarball},\"shasum\":\"{new string('0', 40)}\",\"integrity\":\"sha512-{Convert.ToBase64String(SHA512.HashData(file))}\"}}";
        var zeros = new string('0', 64);
        return _form switch
        {
            "npm" => $"{{\"name\":\"foo\",\"time\":{{}},\"versions\":{{\"0.9.0\":{{\"dist\":{{}}}},\"1.0.0\":{{\"name\":\"foo\",{dist}}}}}}}",
            "npm sha1" => $"{{\"versions\":{{\"1.0.0\":{{\"dist\":{{{tarball},\"shasum\":\"{sha1}\"}}}}}}}}",
            "npm version" => $"{{\"name\":\"foo\",{dist}}}",
            "pypi" => $"{{\"meta\":{{}},\"files\":[{{\"url\":\"{url}\",\"hashes\":{{\"sha256\":\"{sha256}\"}}}}]}}",
            "pypi description" => $"{{\"info\":{{}},\"urls\":[{{\"url\":\"{url}\",\"digests\":{{\"sha256\":\"{sha256}\"}}}}]}}",
            "pypi links" => $"<!DOCTYPE html><a href='x'>x</a><a href=\"../..{url}#sha256={sha256}\" data-core-metadata=\"sha256={zeros}\">foo</a>",
            "pypi metadata" => $"{{\"files\":[{{\"url\":\"{url}\",\"hashes\":{{\"sha256\":\"{zeros}\"}},\"core-metadata\":{{\"sha256\":\"{sha256}\"}}}}]}}",
            "pypi metadata links" => $"<A data-dist-info-metadata='sha256={sha256}' HREF = '{url}#sha256={zeros}'>foo</A>",
            _ => $"{{\"name\":\"foobar\",\"vers\":\"0.9.0\",\"deps\":[],\"cksum\":\"{zeros}\",\"features\":{{}}}}\n{{\"name\":\"foobar\",\"vers\":\"1.0.0\",\"cksum\":\"{sha256}\"}}\n",
        };
    }

    // Files are fresh for a day by their shape.
    private async Task AnswerAsync(HttpContext context)
    {
        var isIndex = context.Request.Path == IndexPath;
        var body = Encoding.UTF8.GetBytes(isIndex ? Document() : _file);
        if (isIndex && _packed)
        {
            var packed = new MemoryStream();
            using (var packing = new GZipStream(packed, CompressionMode.Compress))
                packing.Write(body);
            body = packed.ToArray();
            context.Response.Headers.ContentEncoding = "gzip";
        }

        context.Response.Headers.CacheControl = isIndex ? _control : null;
        var tag = context.Response.Headers.ETag = $"\"{Convert.ToHexStringLower(SHA256.HashData(body))}\"";
        if (context.Request.Headers.IfNoneMatch == tag)
        {
            context.Response.StatusCode = 304;
            return;
        }

        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body);
    }

    private async Task IndexAsync()
    {
        using var answer = await GetAsync(IndexPath);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await answer.Content.ReadAsByteArrayAsync();
    }

    private async Task ExpectAsync(string cache, string file)
    {
        using var answer = await GetAsync(FilePath);
        Assert.Equal((cache, file), (CacheStage.XCache(answer), await answer.Content.ReadAsStringAsync()));
    }

    private Task<HttpResponseMessage> GetAsync(string path, string? range = null) => _stage.GetAsync(_stage.Url(path), r =>
    {
        r.Headers.TryAddWithoutValidation("User-Agent", Agent);
        if (range is not null)
            r.Headers.TryAddWithoutValidation("Range", range);
    });
}
