using System.Net;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>A client and an origin, with the stage between them.</summary>
public sealed class RevalidatorTests : IAsyncLifetime
{
    private readonly List<string> _conditions = [];
    private CacheStage _stage = null!;
    private string _body = "one";
    private string? _control = "max-age=3600";

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync(o => o with
        {
            Rules = [new CacheRule { Mode = CacheMode.Revalidate, Pattern = new Regex("^/doc"), IgnoreQuery = ["sig"] }, new CacheRule { Mode = CacheMode.Revalidate, Pattern = new Regex("^/signed") }],
        });
        _stage.Origin = AnswerAsync;
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    private Uri Document => _stage.Url("/doc");

    [Theory]
    [InlineData("Vary", "Cookie;x")]
    [InlineData("Vary", "\"Cookie\"")]
    [InlineData("Vary", "* x")]
    [InlineData("Vary", "Accept Cookie")]
    public async Task What_cannot_be_read_of_what_an_origin_says_to_caches_is_not_kept(string field, string value)
    {
        _stage.Origin = context =>
        {
            context.Response.Headers.CacheControl = "max-age=60";
            context.Response.Headers[field] = value;
            return context.Response.WriteAsync("x");
        };
        for (var i = 1; i <= 2; i++)
        {
            using var response = await _stage.GetAsync(_stage.Url("/doc"));
            Assert.Equal("x", await response.Content.ReadAsStringAsync());
            Assert.Equal(i, _stage.Asked.Count);
        }
    }

    [Fact]
    public async Task A_fresh_record_answers_without_its_origin_also_HEAD_a_range_and_a_condition()
    {
        await ExpectAsync("MISS", "one");
        _body = "two";
        await ExpectAsync("HIT", "one");
        using var range = await _stage.GetAsync(Document, r => r.Headers.TryAddWithoutValidation("Range", "bytes=1-"));
        Assert.Equal((HttpStatusCode.PartialContent, "ne"), (range.StatusCode, await range.Content.ReadAsStringAsync()));
        using var same = await _stage.GetAsync(Document, r => r.Headers.TryAddWithoutValidation("If-None-Match", "\"one\""));
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        using var head = await _stage.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, Document));
        Assert.Equal((HttpStatusCode.OK, 3L), (head.StatusCode, head.Content.Headers.ContentLength!.Value));
        Assert.True(same.Headers.Age < TimeSpan.FromMinutes(1));
        Assert.Single(_stage.Asked);
    }

    [Fact]
    public async Task A_stale_record_answers_once_its_origin_has_confirmed_it_and_is_replaced_when_that_says_otherwise()
    {
        _control = "max-age=0";
        await ExpectAsync("MISS", "one");
        _control = "max-age=0, stale-if-error=9";
        await ExpectAsync("HIT", "one");
        Assert.Equal(["", "\"one\""], _conditions);
        using (var confirmed = await _stage.GetAsync(Document))
            Assert.Equal("max-age=0, stale-if-error=9", confirmed.Headers.CacheControl!.ToString());

        _body = "two";
        await ExpectAsync("MISS", "two");
        await ExpectAsync("HIT", "two");
        Assert.Equal(5, _stage.Asked.Count);
    }

    [Fact]
    public async Task What_was_stored_still_answers_after_a_restart()
    {
        await ExpectAsync("MISS", "one");
        await _stage.Store.CommittedAsync();
        await _stage.RestartAsync();
        await ExpectAsync("HIT", "one");
        Assert.Single(_stage.Asked);
    }

    [Theory]
    [InlineData("no-store")]
    [InlineData("private, max-age=60")]
    [InlineData("PRIVATE=\"x\", max-age=60")]
    [InlineData("max-age=60, =, no-store")]
    public async Task What_the_origin_does_not_want_kept_is_not_kept(string control)
    {
        _control = control;
        await ExpectAsync("MISS", "one");
        _body = "two";
        await ExpectAsync("MISS", "two");
        await _stage.Store.CommittedAsync();
        Assert.Equal(0, _stage.Stats.Entries);
    }

    [Fact]
    public async Task A_record_answers_those_alone_who_ask_as_the_one_did_that_it_was_made_for()
    {
        _stage.Origin = context =>
        {
            context.Response.Headers.CacheControl = "max-age=60";
            context.Response.Headers.Append("Vary", "Accept");
            context.Response.Headers.Append("Vary", "X-Team");
            return WriteAsync(context, $"{context.Request.Headers.Accept}|{context.Request.Headers["X-Team"]}");
        };
        foreach (var (accept, team) in new[] { ("a", "1"), ("b", "1"), ("a", "2"), ("a, c", "2") })
            Assert.Equal(($"{accept}|{team}", "MISS"), await AskAsync(accept, team));
        foreach (var (accept, team) in new[] { ("a", "1"), ("b", "1"), ("a", "2") })
            Assert.Equal(($"{accept}|{team}", "HIT"), await AskAsync(accept, team));
        Assert.Equal(("a, c|2", "HIT"), await AskAsync("a,c", "2"));

        // A successful POST ends them all, also those that are not its own variant.
        (await _stage.Client.PostAsync(Document, null)).Dispose();
        Assert.Equal(("a|1", "MISS"), await AskAsync("a", "1"));
        Assert.Equal(("b|1", "MISS"), await AskAsync("b", "1"));
    }

    [Fact]
    public async Task What_is_answered_to_a_credential_is_asked_for_again_and_shown_to_no_other()
    {
        _stage.Origin = context =>
        {
            var credential = context.Request.Headers.Authorization.ToString();
            context.Response.Headers.CacheControl = _control;
            context.Response.Headers.ETag = $"\"{credential}\"";
            if (context.Request.Headers.IfNoneMatch == $"\"{credential}\"")
                return CacheStage.Status(context, 304);
            return WriteAsync(context, credential);
        };
        Assert.Equal(("tom", "MISS"), await AskAsAsync("tom"));
        Assert.Equal(("ann", "MISS"), await AskAsAsync("ann"));
        Assert.Equal(("tom", "HIT"), await AskAsAsync("tom"));
        Assert.Equal(("", "MISS"), await AskAsAsync(null));
        Assert.Equal(4, _stage.Asked.Count);

        _control = "public, max-age=60";
        Assert.Equal(("eve", "MISS"), await AskAsAsync("eve"));
        Assert.Equal(("eve", "HIT"), await AskAsAsync("eve"));
        Assert.Equal(5, _stage.Asked.Count);
    }

    [Fact]
    public async Task Also_while_the_origin_is_away_what_was_answered_to_a_credential_is_shown_to_no_other()
    {
        _stage.Origin = context => WriteAsync(context, context.Request.Headers.Authorization.ToString());
        Assert.Equal(("tom", "MISS"), await AskAsAsync("tom"));
        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();
        await _stage.RestartAsync();
        Assert.Equal("tom", (await AskAsAsync("tom")).Text);
        foreach (var other in (string?[])["ann", null])
            Assert.DoesNotContain("tom", (await AskAsAsync(other)).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("max-age=0", true)]
    [InlineData("max-age=0, must-revalidate", false)]
    [InlineData("max-age=0, no-cache", false)]
    [InlineData("s-maxage=0", false)]
    public async Task While_the_origin_is_away_a_stale_record_answers_unless_it_may_not(string control, bool answers)
    {
        _control = control;
        await ExpectAsync("MISS", "one");
        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();
        await _stage.RestartAsync();
        using var response = await _stage.GetAsync(Document);
        Assert.Equal(answers ? HttpStatusCode.OK : HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal(answers, response.Headers.Contains("Warning"));
    }

    [Fact]
    public async Task A_package_registry_that_is_away_is_stood_in_for_whatever_it_said_of_lifetimes_unless_that_is_switched_off()
    {
        _control = "no-cache, max-age=0, must-revalidate";
        var index = _stage.Url("/simple/thing/");
        Assert.Equal("one", (await _stage.FetchAsync(index)).Body.AsText());
        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();
        await _stage.RestartAsync();
        Assert.Equal(("one", "HIT"), (await _stage.FetchAsync(index)).AsText());

        _stage.Options = _stage.Options with { OfflineServes = false };
        await _stage.RestartAsync();
        using var response = await _stage.GetAsync(index);
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
    }

    [Fact]
    public async Task A_packages_file_is_fresh_for_a_day_and_an_error_never()
    {
        _control = null;
        var file = _stage.Url("/packages/aa/thing-1.0.tar.gz");
        var missing = _stage.Url("/packages/aa/missing-1.0.tar.gz");
        _stage.Origin = context => context.Request.Path.Value!.Contains("missing") ? CacheStage.Status(context, 404) : AnswerAsync(context);
        Assert.Equal(("one", "MISS"), (await _stage.FetchAsync(file)).AsText());
        Assert.Equal(("one", "HIT"), (await _stage.FetchAsync(file)).AsText());
        for (var i = 0; i < 2; i++)
            (await _stage.GetAsync(missing)).Dispose();
        Assert.Equal(3, _stage.Asked.Count);
    }

    [Fact]
    public async Task A_registry_that_negotiates_without_saying_so_confuses_nobody_and_its_cookies_are_for_one()
    {
        _control = "max-age=60";
        _stage.Origin = context =>
        {
            context.Response.Headers.CacheControl = _control;
            context.Response.Headers.SetCookie = "session=1";
            return WriteAsync(context, context.Request.Headers.Accept.ToString());
        };
        foreach (var (type, cache) in new[] { ("text/html", "MISS"), ("application/json", "MISS"), ("text/html", "HIT"), ("application/json", "HIT") })
        {
            using var response = await _stage.GetAsync(_stage.Url("/simple/thing/"), r => r.Headers.TryAddWithoutValidation("Accept", type));
            Assert.Equal((type, cache), (await response.Content.ReadAsStringAsync(), CacheStage.XCache(response)));
            Assert.Equal(cache == "MISS", response.Headers.Contains("Set-Cookie"));
        }
    }

    /// <summary>Servers take credentials in fields of any name; what package clients send by themselves is none.</summary>
    [Theory]
    [InlineData("X-NuGet-ApiKey", "MISS")]
    [InlineData("CF-Access-Client-Secret", "MISS")]
    [InlineData("X-Whatever", "MISS")]
    [InlineData("X-Forwarded-Access-Token", "MISS")]
    [InlineData("X-Forwarded-For", "MISS")]
    [InlineData("X-Forwarded-Host", "MISS")]
    [InlineData("Forwarded", "MISS")]
    [InlineData("npm-session", "HIT")]
    [InlineData("Accept-Language", "HIT")]
    public async Task A_package_that_was_given_for_a_field_nobody_knows_is_for_those_who_send_it(string field, string cache)
    {
        _control = null;
        var file = _stage.Url("/packages/aa/thing-1.0.tar.gz");
        (await _stage.GetAsync(file, r => r.Headers.TryAddWithoutValidation(field, "one"))).Dispose();
        using var response = await _stage.GetAsync(file);
        Assert.Equal(cache, CacheStage.XCache(response));
    }

    [Fact]
    public async Task What_was_written_for_another_address_of_the_server_is_for_those_who_name_it()
    {
        (await _stage.GetAsync(Document, r => r.Headers.TryAddWithoutValidation("X-Forwarded-Host", "other.example"))).Dispose();
        await ExpectAsync("MISS", "one");
    }

    /// <summary>On any host, for any client: a name without a version is another file tomorrow.</summary>
    [Theory]
    [InlineData("/packages/latest.zip", false)]
    [InlineData("/packages/nightly.tar.gz", false)]
    [InlineData("/packages/aa/thing-1.0.tar.gz", true)]
    [InlineData("/packages/aa/thing-1-py3-none-any.whl", true)]
    [InlineData("/app/-/master.tgz", false)]
    [InlineData("/latest-version/-/latest-version-9.0.0.tgz", true)]
    [InlineData("/pool/daily/foo_latest_amd64.deb", false)]
    [InlineData("/pool/main/f/foo/foo_1_all.deb", true)]
    [InlineData("/pool/main/o/openssl/libssl-dev_3.0.11-1_amd64.deb", true)]
    [InlineData("/pool/main/g/glibc/libc6-dev-i386_2.36-9_amd64.deb", true)]
    [InlineData("/pool/daily/foo_1.0_master_amd64.deb", false)]
    [InlineData("/pool/tool_x86_64.deb", false)]
    [InlineData("/packages/tool-latest-x86_64.tar.gz", false)]
    [InlineData("/alpine/v3.20/main/x86_64/musl-dev-1.2.4-r2.apk", true)]
    [InlineData("/debian/dists/stable/main/binary-amd64/by-hash/SHA256/0a", true)]
    [InlineData("/pub/epel-release-latest-9-1.noarch.rpm", false)]
    [InlineData("/pub/Packages/bash-5.2-1.x86_64.rpm", true)]
    [InlineData("/conda/linux-64/installer-latest-Linux.conda", false)]
    [InlineData("/conda/linux-64/tzdata-2024a-h04d1e81_0.conda", true)]
    [InlineData("/gems/edge.gem", false)]
    [InlineData("/gems/rake-13.2.1.gem", true)]
    [InlineData("/arcgis/rest/services/x/MapServer/tile/8/100/200", false)]
    public async Task Only_what_has_a_version_in_its_name_never_changes(string path, bool isFixed)
    {
        _control = null;
        (await _stage.GetAsync(_stage.Url(path))).Dispose();
        _body = "two";
        using var response = await _stage.GetAsync(_stage.Url(path));
        Assert.Equal(isFixed ? "one" : "two", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("/foo/-/foo-1.0.0.tgz", "/foo/-/foo-1.0.0.tgz")]
    [InlineData("/doc", "/doc")]
    public async Task What_is_written_while_it_is_downloaded_is_not_kept_as_it_was(string read, string written)
    {
        var (begun, change) = (new TaskCompletionSource(), new TaskCompletionSource());
        _stage.Origin = async context =>
        {
            if (HttpMethods.IsPut(context.Request.Method))
                return;
            context.Response.ContentLength = 3;
            await context.Response.WriteAsync("o");
            await context.Response.Body.FlushAsync();
            begun.SetResult();
            await change.Task;
            await context.Response.WriteAsync("ne");
        };
        var downloading = _stage.GetAsync(_stage.Url(read));
        await begun.Task;
        using var put = new HttpRequestMessage(HttpMethod.Put, _stage.Url(written)) { Content = new StringContent("two") };
        (await _stage.Client.SendAsync(put)).Dispose();
        change.SetResult();
        using (var old = await downloading)
            Assert.Equal("one", await old.Content.ReadAsStringAsync());

        _stage.Origin = AnswerAsync;
        _body = "two";
        using var response = await _stage.GetAsync(_stage.Url(read));
        Assert.Equal("two", await response.Content.ReadAsStringAsync());
    }

    /// <summary>npm's own requests: a revision is unpublished, a file deleted, a tag moved.</summary>
    [Theory]
    [InlineData("DELETE", "/npm/thing/-rev/3-a", "/npm/thing")]
    [InlineData("PUT", "/npm/thing/-rev/3-a", "/npm/thing")]
    [InlineData("DELETE", "/npm/thing/-/thing-1.0.0.tgz/-rev/3-a", "/npm/thing")]
    [InlineData("DELETE", "/npm/thing/-/thing-1.0.0.tgz/-rev/3-a", "/npm/thing/-/thing-1.0.0.tgz")]
    [InlineData("PUT", "/npm/-/package/thing/dist-tags/beta", "/npm/thing")]
    [InlineData("DELETE", "/-/package/@scope%2fthing/dist-tags/beta", "/@scope/thing")]
    [InlineData("PUT", "/@scope%2fthing", "/@scope/thing")]
    [InlineData("PUT", "/@scope/thing", "/@scope%2fthing")]
    [InlineData("PUT", "/npm/-/package/thing/dist-tags/beta", "/npm/-/package/thing/dist-tags")]
    [InlineData("PUT", "/npm/@scope%2fthing", "/npm/-/package/@scope%2fthing/dist-tags")]
    public async Task What_a_write_at_a_registry_changes_is_asked_for_anew(string method, string written, string document)
    {
        _control = "max-age=300";
        Action<HttpRequestMessage> asNpm = r => r.Headers.TryAddWithoutValidation("User-Agent", "npm/10.0.0");
        (await _stage.GetAsync(_stage.Url(document), asNpm)).Dispose();
        _body = "two";
        using (var stored = await _stage.GetAsync(_stage.Url(document), asNpm))
            Assert.Equal("one", await stored.Content.ReadAsStringAsync());
        (await _stage.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), _stage.Url(written)))).Dispose();
        using var response = await _stage.GetAsync(_stage.Url(document), asNpm);
        Assert.Equal("two", await response.Content.ReadAsStringAsync());
    }

    /// <summary>As cargo and curl --http2 ask: nobody goes on by HTTP/2 here, and what is offered says nothing of the answer.</summary>
    [Fact]
    public async Task An_offer_of_HTTP2_is_answered_from_the_cache()
    {
        Action<HttpRequestMessage> offer = r =>
        {
            r.Headers.Connection.Add("Upgrade");
            r.Headers.Connection.Add("HTTP2-Settings");
            r.Headers.Upgrade.Add(new("h2c"));
            r.Headers.TryAddWithoutValidation("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA");
        };
        (await _stage.GetAsync(Document, offer)).Dispose();
        using var again = await _stage.GetAsync(Document, offer);
        Assert.Equal("HIT", CacheStage.XCache(again));
    }

    /// <summary>By S3 and its kin, CloudFront and Azure.</summary>
    [Theory]
    [InlineData("X-Amz-Credential=a&X-Amz-Signature=b")]
    [InlineData("Expires=1&Key-Pair-Id=k&Signature=b")]
    [InlineData("sv=1&se=2&sig=b")]
    public async Task What_a_signature_opens_is_for_its_bearer(string query)
    {
        _control = "public, max-age=60";
        foreach (var path in new[] { "/packages/aa/thing-1.0.tar.gz", "/signed/x" })
        {
            (await _stage.GetAsync(_stage.Url($"{path}?{query}"))).Dispose();
            using var again = await _stage.GetAsync(_stage.Url($"{path}?{query}"));
            using var without = await _stage.GetAsync(_stage.Url(path));
            Assert.NotEqual("HIT", CacheStage.XCache(again));
            Assert.NotEqual("HIT", CacheStage.XCache(without));
        }

        Assert.Equal(6, _stage.Asked.Count);
    }

    /// <summary>Under a rule of the configuration's the origin decides (RFC 9111, 7.3), where it says so and those who ask are nobody in particular.
    /// What it confirms brings a cookie of its own.</summary>
    [Theory]
    [InlineData("/doc", "max-age=60", null, null, "session=1")]
    [InlineData("/doc", "public, s-maxage=60", null, null, "session=1")]
    [InlineData("/doc", "max-age=60", null, "Cookie", null)]
    [InlineData("/doc", "public, max-age=60", null, "Authorization", null)]
    [InlineData("/doc", "max-age=60", "Cookie", null, null)]
    [InlineData("/doc", "max-age=60, must-revalidate", "Authorization", null, null)]
    [InlineData("/doc", "max-age=0", null, null, null)]
    [InlineData("/doc", "public", null, null, null)]
    [InlineData("/simple/thing/", "max-age=60", null, null, null)]
    [InlineData("/foo/-/foo-1.0.0.tgz", "max-age=60", null, null, null)]
    public async Task A_cookie_is_for_the_client_that_it_was_set_for(string path, string control, string? firstShows, string? secondShows, string? later)
    {
        _control = control;
        _stage.Origin = context =>
        {
            if (_stage.Asked.Count == 1)
                context.Response.Headers.SetCookie = "session=1";
            return AnswerAsync(context);
        };
        using var first = await _stage.GetAsync(_stage.Url(path), r => Show(r, firstShows));
        Assert.Equal(("MISS", "session=1"), (CacheStage.XCache(first), Cookie(first)));
        for (var i = 0; i < 2; i++)
        {
            using var second = await _stage.GetAsync(_stage.Url(path), r => Show(r, secondShows));
            Assert.Equal(("HIT", later), (CacheStage.XCache(second), Cookie(second)));
        }

        static void Show(HttpRequestMessage request, string? field)
        {
            if (field is not null)
                request.Headers.TryAddWithoutValidation(field, "session=0");
        }

        static string? Cookie(HttpResponseMessage response) => response.Headers.TryGetValues("Set-Cookie", out var values) ? string.Join('|', values) : null;
    }

    [Fact]
    public async Task What_an_origin_confirms_brings_its_own_cookie()
    {
        _control = "max-age=0";
        _stage.Origin = context =>
        {
            context.Response.Headers.SetCookie = $"session={_stage.Asked.Count}";
            return AnswerAsync(context);
        };
        for (var i = 1; i <= 2; i++)
        {
            using var response = await _stage.GetAsync(Document);
            Assert.Equal((i == 1 ? "MISS" : "HIT", $"session={i}"), (CacheStage.XCache(response), string.Join('|', response.Headers.GetValues("Set-Cookie"))));
        }
    }

    [Fact]
    public async Task The_index_of_a_distribution_is_confirmed_each_time_whatever_lifetime_it_has()
    {
        var index = _stage.Url("/debian/dists/stable/InRelease");
        await _stage.FetchAsync(index);
        Assert.Equal(("one", "HIT"), (await _stage.FetchAsync(index)).AsText());
        _body = "two";
        Assert.Equal(("two", "MISS"), (await _stage.FetchAsync(index)).AsText());
        Assert.Equal(3, _stage.Asked.Count);
    }

    [Theory]
    [InlineData("If-Match", "\"another\"")]
    [InlineData("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")]
    public async Task Whether_a_condition_for_the_origin_holds_is_the_origins_to_say(string name, string value)
    {
        await ExpectAsync("MISS", "one");
        await ExpectAsync("HIT", "one");
        _stage.Origin = context => context.Request.Headers.ContainsKey(name) ? CacheStage.Status(context, 412) : AnswerAsync(context);
        using var asked = await _stage.GetAsync(Document, r => r.Headers.TryAddWithoutValidation(name, value));
        Assert.Equal(HttpStatusCode.PreconditionFailed, asked.StatusCode);
        _stage.Origin = AnswerAsync;
        using var met = await _stage.GetAsync(Document, r => r.Headers.TryAddWithoutValidation(name, value));
        Assert.Equal("one", await met.Content.ReadAsStringAsync());
        Assert.Equal(3, _stage.Asked.Count);
        await ExpectAsync("HIT", "one");
    }

    [Fact]
    public async Task Stale_while_revalidate_answers_at_once_and_asks_beside_it()
    {
        _control = "max-age=0, stale-while-revalidate=60";
        await ExpectAsync("MISS", "one");
        _body = "two";
        await ExpectAsync("HIT", "one");
        await CacheStage.EventuallyAsync(() => _stage.Asked.Count == 2);
        await CacheStage.EventuallyAsync(() => _stage.FetchAsync(Document).Result.Body.AsText() == "two");
    }

    [Fact]
    public async Task The_query_counts_but_for_what_the_rule_leaves_out()
    {
        Assert.Equal("MISS", (await _stage.FetchAsync(_stage.Url("/doc?v=1&sig=a"))).Cache);
        Assert.Equal("HIT", (await _stage.FetchAsync(_stage.Url("/doc?v=1&sig=b"))).Cache);
        Assert.Equal("MISS", (await _stage.FetchAsync(_stage.Url("/doc?v=2&sig=a"))).Cache);
        Assert.Equal("MISS", (await _stage.FetchAsync(_stage.Elsewhere("/doc?v=1&sig=a"))).Cache);
    }

    [Fact]
    public async Task Who_wants_a_stored_answer_alone_gets_one_or_504()
    {
        using var none = await _stage.GetAsync(Document, r => r.Headers.TryAddWithoutValidation("Cache-Control", "only-if-cached"));
        Assert.Equal(HttpStatusCode.GatewayTimeout, none.StatusCode);
        await ExpectAsync("MISS", "one");
        using var stored = await _stage.GetAsync(Document, r => r.Headers.TryAddWithoutValidation("Cache-Control", "only-if-cached"));
        Assert.Equal(HttpStatusCode.OK, stored.StatusCode);
    }

    [Fact]
    public async Task An_answer_that_breaks_off_is_not_stored_and_breaks_off_for_the_client()
    {
        _stage.Origin = async context =>
        {
            context.Response.Headers.CacheControl = "max-age=60";
            context.Response.ContentLength = 100;
            await context.Response.Body.WriteAsync("half"u8.ToArray());
            await context.Response.Body.FlushAsync();
            context.Abort();
        };
        // Before its first byte went on it is a 502, afterwards the client sees what a direct one sees.
        await Assert.ThrowsAnyAsync<Exception>(() => _stage.FetchAsync(Document));
        _stage.Origin = AnswerAsync;
        await ExpectAsync("MISS", "one");
    }

    private async Task AnswerAsync(HttpContext context)
    {
        _conditions.Add(context.Request.Headers.IfNoneMatch.ToString());
        var tag = $"\"{_body}\"";
        context.Response.Headers.ETag = tag;
        if (_control is not null)
            context.Response.Headers.CacheControl = _control;
        if (context.Request.Headers.IfNoneMatch == tag)
            await CacheStage.Status(context, 304);
        else
            await WriteAsync(context, _body);
    }

    private static async Task WriteAsync(HttpContext context, string text)
    {
        context.Response.ContentLength = text.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.WriteAsync(text);
    }

    private async Task ExpectAsync(string cache, string text) =>
        Assert.Equal((text, cache), (await _stage.FetchAsync(Document)).AsText());

    private async Task<(string Text, string? Cache)> AskAsync(string accept, string team)
    {
        using var response = await _stage.GetAsync(Document, r =>
        {
            r.Headers.TryAddWithoutValidation("Accept", accept);
            r.Headers.TryAddWithoutValidation("X-Team", team);
        });
        return (await response.Content.ReadAsStringAsync(), CacheStage.XCache(response));
    }

    private async Task<(string Text, string? Cache)> AskAsAsync(string? credential)
    {
        using var response = await _stage.GetAsync(Document, r =>
        {
            if (credential is not null)
                r.Headers.TryAddWithoutValidation("Authorization", credential);
        });
        return (await response.Content.ReadAsStringAsync(), CacheStage.XCache(response));
    }
}

internal static class FetchedText
{
    public static string AsText(this byte[] body) => System.Text.Encoding.UTF8.GetString(body);

    public static (string Text, string? Cache) AsText(this (byte[] Body, string? Cache) fetched) => (fetched.Body.AsText(), fetched.Cache);
}
