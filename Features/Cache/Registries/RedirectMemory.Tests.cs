using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Registries;

public sealed class RedirectMemoryTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(300_000);
    private CacheStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CacheStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("/5b2e6f1c-uuid?X-Amz-Signature=%2Fa%20b&X-Amz-Date=1")]
    [InlineData("/artifacts-downloads/namespaces/n/downloads/AO4token%3D")]
    [InlineData("/ghcr1/blobs/sha256:HEX?sig=1")]
    [InlineData("/sha256/HE/HEX?Signature=1")]
    public async Task What_a_registry_redirects_to_is_a_hit_under_the_registrys_own_address_with_fields_of_its_own(string location)
    {
        var hex = TemporaryCache.HexOf(_body);
        location = location.Replace("/HE/", $"/{hex[..2]}/", StringComparison.Ordinal).Replace("HEX", hex, StringComparison.Ordinal);
        Redirect(_ => location);
        using (var redirect = await _stage.GetAsync(_stage.Blob(_body)))
        {
            Assert.Equal((HttpStatusCode.TemporaryRedirect, location), (redirect.StatusCode, redirect.Headers.Location!.OriginalString));
            await _stage.ExpectAsync("MISS", _body, _stage.Url(location));
        }

        await _stage.Store.CommittedAsync();
        Assert.Equal(2, _stage.Files.Files().Length);
        using var hit = await _stage.GetAsync(_stage.Blob(_body));
        Assert.Equal(("HIT", "application/octet-stream"), (CacheStage.XCache(hit), hit.Content.Headers.ContentType!.ToString()));
        Assert.False(hit.Headers.Contains("Strict-Transport-Security"));
        Assert.Equal(_body, await hit.Content.ReadAsByteArrayAsync());
        Assert.Equal(2, _stage.Asked.Count);

        // The address behind it has no record: it answers for itself, every time.
        await _stage.ExpectAsync("MISS", _body, _stage.Url(location));
        Assert.Equal(3, _stage.Asked.Count);
    }

    [Fact]
    public async Task A_chain_of_redirects_ends_under_the_registrys_own_address()
    {
        _stage.Origin = async context =>
        {
            var next = context.Request.Path.Value switch { "/one" => "two?sig=%2F", "/two" => null, _ => _stage.Elsewhere("/one").AbsoluteUri };
            if (next is null)
            {
                await context.Response.Body.WriteAsync(_body);
                return;
            }

            (context.Response.StatusCode, context.Response.Headers.Location) = (context.Request.Path == "/one" ? 308 : 302, next);
        };
        using (await _stage.GetAsync(_stage.Blob(_body)))
        using (await _stage.GetAsync(_stage.Elsewhere("/one")))
            await _stage.ExpectAsync("MISS", _body, _stage.Elsewhere("/two?sig=%2F"));
        await _stage.Store.CommittedAsync();
        await _stage.ExpectAsync("HIT", _body);
    }

    [Fact]
    public async Task A_redirect_to_anything_else_changes_nothing_there_before_or_after_the_digest_is_stored()
    {
        var foreign = _stage.Elsewhere("/login");
        _stage.Origin = async context =>
        {
            if (context.Request.Path == "/v2/a/blobs/sha256:" + TemporaryCache.HexOf(_body))
                (context.Response.StatusCode, context.Response.Headers.Location) = (302, foreign.AbsoluteUri);
            else
                await context.Response.Body.WriteAsync(context.Request.Path == "/login" ? "the page"u8.ToArray() : _body);
        };
        for (var round = 0; round < 2; round++)
        {
            using var redirect = await _stage.GetAsync(_stage.Blob(_body));
            Assert.Equal(HttpStatusCode.Redirect, redirect.StatusCode);
            Assert.Equal("the page"u8.ToArray(), (await _stage.FetchAsync(foreign)).Body);
            await _stage.FetchAsync(_stage.Url($"/v2/other/blobs/sha256:{TemporaryCache.HexOf(_body)}"));
        }

        Assert.Equal(0, _stage.Stats.Errors);
    }

    [Theory]
    [InlineData("http://xn--/x")]
    [InlineData("http://[::1/x")]
    [InlineData("mailto:a@b")]
    [InlineData("%")]
    [InlineData("")]
    public async Task A_redirect_that_leads_nowhere_is_passed_on(string location)
    {
        Redirect(_ => location);
        using var redirect = await _stage.GetAsync(_stage.Blob(_body));
        Assert.Equal(HttpStatusCode.TemporaryRedirect, redirect.StatusCode);
    }

    [Fact]
    public async Task Without_content_awareness_an_entry_answers_its_own_address_only()
    {
        _stage.Rules.Replace(new CacheRules(_stage.Options with { ContentAware = false }));
        Redirect(_ => "/uuid");
        using (var redirect = await _stage.GetAsync(_stage.Blob(_body)))
            Assert.Equal(_body, (await _stage.FetchAsync(_stage.Url("/uuid"))).Body);
        Assert.Empty(_stage.Files.Files());
        _stage.Serve(_body);
        await _stage.ExpectAsync("MISS", _body);
        await _stage.ExpectAsync("MISS", _body, _stage.Url($"/v2/other/blobs/sha256:{TemporaryCache.HexOf(_body)}"));
        await _stage.ExpectAsync("HIT", _body);
    }

    private void Redirect(Func<HttpContext, string> location) => _stage.Origin = async context =>
    {
        if (context.Request.Path.StartsWithSegments("/v2", StringComparison.Ordinal))
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = location(context);
        }
        else
        {
            context.Response.ContentLength = _body.Length;
            context.Response.ContentType = "text/html";
            context.Response.Headers.StrictTransportSecurity = "max-age=1";
            await context.Response.Body.WriteAsync(_body);
        }
    };
}
