using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>A client, a registry that redirects to a store with signed addresses, and the stage between them.</summary>
public sealed class PackageRedirectsTests : IAsyncLifetime
{
    private const string Tarball = "/left/-/left-1.0.0.tgz";
    private CacheStage _stage = null!;
    private string _signature = "s1gned";
    private int _status = 302;
    private string _control = "";
    private string _lifetime = "";
    private string _file = "the file";
    private bool _isThere = true;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Origin = context => context.Request.Host.Host == "localhost" ? StoreAsync(context) : RegistryAsync(context);
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    private string Signed => _stage.Elsewhere($"/storage/5b2e%2B6f1c?name=left%2Fx&X-Amz-Signature={_signature}&X-Amz-Date=1&X-Amz-Credential=who").OriginalString;

    private string Unsigned => _stage.Elsewhere("/storage/5b2e%2B6f1c?name=left%2Fx").OriginalString;

    [Theory]
    [InlineData(Tarball, 302)]
    [InlineData(Tarball, 307)]
    [InlineData("/packages/aa/thing-1.0.tar.gz", 301)]
    [InlineData("/golang.org/x/text/@v/v0.3.0.zip", 303)]
    [InlineData("/crates/serde/serde-1.0.0.crate", 308)]
    [InlineData("/simple/thing/", 302)]
    [InlineData("/owner/repo/releases/download/v1/tool_linux.tar.gz", 302)]
    [InlineData("/owner/model/resolve/0123456789abcdef0123456789abcdef01234567/model.safetensors", 302)]
    public async Task What_a_registry_redirected_to_can_be_installed_again_with_both_away(string path, int status)
    {
        _status = status;
        await InstallAsync(path, Signed, "MISS");
        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();
        await _stage.RestartAsync();

        var redirect = await InstallAsync(path, Unsigned, "HIT");
        Assert.Equal((status, "linked"), ((int)redirect.StatusCode, redirect.Headers.GetValues("X-Linked-ETag").Single()));
        Assert.StartsWith("111", redirect.Headers.GetValues("Warning").Single(), StringComparison.Ordinal);
        // Whoever asks for the head alone is told as well.
        using var head = await _stage.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, _stage.Url(path)));
        Assert.Equal((status, Unsigned), ((int)head.StatusCode, head.Headers.Location!.OriginalString));
    }

    [Fact]
    public async Task With_the_registry_away_alone_what_the_store_refuses_for_want_of_a_signature_is_stood_in_for()
    {
        await InstallAsync(Tarball, Signed, "MISS");
        _stage.IsAway = uri => uri.Host == "127.0.0.1";
        var asked = _stage.Asked.Count;
        await InstallAsync(Tarball, Unsigned, "HIT");
        Assert.Equal(asked + 1, _stage.Asked.Count);
    }

    /// <summary>Whoever sends his own client to another's file shows it nothing that its store would not show.</summary>
    [Fact]
    public async Task A_file_that_is_fresh_is_not_shown_for_a_signature_that_its_store_has_not_seen()
    {
        _lifetime = "max-age=3600";
        await InstallAsync(Tarball, Signed, "MISS");
        await _stage.Store.CommittedAsync();
        var forged = Signed.Replace(_signature, "forged", StringComparison.Ordinal);
        var serve = _stage.Origin;
        _stage.Origin = context =>
        {
            if (context.Request.Host.Host == "localhost")
                return serve(context);
            (context.Response.StatusCode, context.Response.Headers.Location) = (302, forged);
            return Task.CompletedTask;
        };
        using var redirect = await _stage.GetAsync(_stage.Url("/mine/-/mine-1.0.0.tgz"));
        Assert.Equal(forged, redirect.Headers.Location?.OriginalString);
        using var refused = await _stage.GetAsync(new Uri(forged, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
    }

    /// <summary>As registries do that are being mended, or want somebody to log in.</summary>
    [Fact]
    public async Task A_document_that_is_kept_outlives_a_redirect_in_its_place()
    {
        var isMended = false;
        _stage.Origin = context =>
        {
            if (!isMended)
                return context.Response.WriteAsync("the document");
            (context.Response.StatusCode, context.Response.Headers.Location) = (302, _stage.Elsewhere("/status").OriginalString);
            return Task.CompletedTask;
        };
        var document = _stage.Url("/simple/left/");
        (await _stage.GetAsync(document)).Dispose();
        await _stage.Store.CommittedAsync();
        isMended = true;
        Assert.Equal(HttpStatusCode.Redirect, (await _stage.GetAsync(document)).StatusCode);
        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();
        Assert.Equal("the document", System.Text.Encoding.UTF8.GetString((await _stage.FetchAsync(document)).Body));
    }

    [Fact]
    public async Task While_the_registry_is_there_its_own_redirect_counts_and_the_store_confirms_the_file()
    {
        await InstallAsync(Tarball, Signed, "MISS");
        _signature = "another";
        await InstallAsync(Tarball, Signed, "HIT");
        Assert.Equal(4, _stage.Asked.Count);
        _file = "a new one";
        await InstallAsync(Tarball, Signed, "MISS");

        // Without the signature that was just given to everybody the store is to judge.
        using var forged = await _stage.GetAsync(new Uri(Signed.Replace(_signature, "forged", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.Forbidden, forged.StatusCode);
    }

    [Fact]
    public async Task A_client_that_asks_for_the_head_alone_and_then_for_the_file_itself_can_do_so_again()
    {
        using (var head = await _stage.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, _stage.Url(Tarball))))
            await ExpectAsync(head.Headers.Location!, "MISS");
        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();
        using var again = await _stage.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, _stage.Url(Tarball)));
        await ExpectAsync(again.Headers.Location!, "HIT");
    }

    [Theory]
    [InlineData("no-store")]
    [InlineData("private")]
    public async Task What_is_not_to_be_kept_is_not_and_what_is_gone_is_not_shown(string control)
    {
        _control = control;
        await InstallAsync(Tarball, Signed);
        _stage.IsAway = uri => uri.Host == "127.0.0.1";
        Assert.Equal(HttpStatusCode.BadGateway, (await _stage.GetAsync(_stage.Url(Tarball))).StatusCode);

        _stage.IsAway = _ => false;
        _control = "";
        await InstallAsync(Tarball, Signed);
        _isThere = false;
        Assert.Equal(HttpStatusCode.NotFound, (await _stage.GetAsync(_stage.Url(Tarball))).StatusCode);
        _stage.IsAway = uri => uri.Host == "127.0.0.1";
        Assert.Equal(HttpStatusCode.BadGateway, (await _stage.GetAsync(_stage.Url(Tarball))).StatusCode);
    }

    [Fact]
    public async Task Where_a_credential_was_sent_nobody_is_sent_and_a_file_that_never_came_is_not_promised()
    {
        using (var redirect = await _stage.GetAsync(_stage.Url(Tarball), r => r.Headers.TryAddWithoutValidation("Authorization", "Bearer tom")))
            await ExpectAsync(redirect.Headers.Location!, "MISS", isMarked: false);
        (await _stage.GetAsync(_stage.Url("/other/-/other-1.0.0.tgz"))).Dispose();
        await _stage.Store.CommittedAsync();
        _stage.IsAway = uri => uri.Host == "127.0.0.1";
        foreach (var (path, credential) in new[] { (Tarball, null), (Tarball, "Bearer ann"), ("/other/-/other-1.0.0.tgz", null) })
        {
            using var answer = await _stage.GetAsync(_stage.Url(path), r =>
            {
                if (credential is not null)
                    r.Headers.TryAddWithoutValidation("Authorization", credential);
            });
            Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        }
    }

    /// <summary>Anybody may redirect anywhere.</summary>
    [Fact]
    public async Task A_redirect_to_anothers_page_changes_nothing_there()
    {
        var (page, said) = (_stage.Elsewhere("/page"), "one");
        _stage.Origin = context =>
        {
            if (context.Request.Host.Host == "localhost")
                return context.Response.WriteAsync(said);
            (context.Response.StatusCode, context.Response.Headers.Location) = (302, page.OriginalString);
            return Task.CompletedTask;
        };
        for (var i = 0; i < 3; i++)
        {
            (await _stage.GetAsync(_stage.Url(Tarball))).Dispose();
            said = $"page {i}";
            Assert.Equal(said, System.Text.Encoding.UTF8.GetString((await _stage.FetchAsync(page)).Body));
            Assert.Equal(said, System.Text.Encoding.UTF8.GetString((await _stage.FetchAsync(page)).Body));
        }

        _stage.Origin = context => CacheStage.Status(context, 403);
        using var refused = await _stage.GetAsync(page);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
    }

    [Theory]
    [InlineData("http://[::1/x")]
    [InlineData("mailto:a@b")]
    [InlineData("http://u:p@localhost/x")]
    [InlineData("http://localhost/x?access_token=abc")]
    public async Task A_redirect_that_leads_nowhere_or_has_a_password_in_it_is_passed_on_and_not_kept(string location)
    {
        _stage.Origin = context =>
        {
            (context.Response.StatusCode, context.Response.Headers.Location) = (302, location);
            return Task.CompletedTask;
        };
        using var redirect = await _stage.GetAsync(_stage.Url(Tarball));
        Assert.Equal(HttpStatusCode.Redirect, redirect.StatusCode);
        await _stage.Store.CommittedAsync();
        Assert.Empty(_stage.Files.Files());
    }

    [Fact]
    public async Task No_signature_is_written_to_the_disk()
    {
        await InstallAsync(Tarball, Signed, "MISS");
        await _stage.Store.CommittedAsync();
        var files = Directory.GetFiles(_stage.Files.Dir, "*.meta").Select(File.ReadAllText).ToList();
        Assert.Contains(files, f => f.Contains("X-Linked-ETag", StringComparison.Ordinal));
        Assert.All(files, f => Assert.DoesNotContain(_signature, f, StringComparison.Ordinal));
    }

    private async Task<HttpResponseMessage> InstallAsync(string path, string location, string? cache = null)
    {
        using var redirect = await _stage.GetAsync(_stage.Url(path));
        Assert.Equal(location, redirect.Headers.Location?.OriginalString);
        await ExpectAsync(redirect.Headers.Location!, cache);
        return redirect;
    }

    private async Task ExpectAsync(Uri location, string? cache, bool isMarked = true)
    {
        using var file = await _stage.GetAsync(new Uri(location.OriginalString, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        Assert.Equal((HttpStatusCode.OK, _file), (file.StatusCode, await file.Content.ReadAsStringAsync()));
        if (isMarked && cache is not null)
            Assert.Equal(cache, CacheStage.XCache(file));
    }

    private Task RegistryAsync(HttpContext context)
    {
        if (!_isThere)
            return CacheStage.Status(context, 404);
        context.Response.Headers.CacheControl = _control;
        context.Response.Headers["X-Linked-ETag"] = "linked";
        context.Response.Headers.Location = Signed;
        context.Response.StatusCode = _status;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.WriteAsync("moved");
    }

    private Task StoreAsync(HttpContext context)
    {
        if (context.Request.Query["X-Amz-Signature"] != _signature)
            return CacheStage.Status(context, 403);
        context.Response.Headers.CacheControl = _lifetime;
        var tag = context.Response.Headers.ETag = $"\"{_file}\"";
        return context.Request.Headers.IfNoneMatch == tag ? CacheStage.Status(context, 304) : context.Response.WriteAsync(_file);
    }
}
