using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache;

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
    public async Task The_address_behind_a_registrys_redirect_is_verified_stored_once_and_a_hit_under_the_registrys_own(string location)
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
        await _stage.ExpectAsync("HIT", _body, _stage.Url(location));
        await _stage.ExpectAsync("HIT", _body);
        Assert.Equal(2, _stage.Asked.Count);
    }

    [Fact]
    public async Task A_changed_address_behind_the_redirect_is_still_a_hit()
    {
        var turn = 0;
        Redirect(_ => $"/uuid-{Interlocked.Increment(ref turn)}?sig={turn}");
        using (var redirect = await _stage.GetAsync(_stage.Blob(_body)))
            await _stage.ExpectAsync("MISS", _body, _stage.Url(redirect.Headers.Location!.OriginalString));

        // A client that holds a second redirect from before the body was stored.
        await _stage.Cache.ClearAsync(CancellationToken.None);
        using var second = await _stage.GetAsync(_stage.Blob(_body));
        await _stage.ExpectAsync("MISS", _body, _stage.Url("/uuid-1?sig=1"));
        await _stage.ExpectAsync("HIT", _body, _stage.Url(second.Headers.Location!.OriginalString));
    }

    [Fact]
    public async Task A_wrong_body_behind_a_redirect_is_refused()
    {
        Redirect(_ => "/uuid");
        using var redirect = await _stage.GetAsync(_stage.Blob(_body));
        _stage.Origin = context =>
        {
            context.Response.ContentLength = 5;
            return context.Response.WriteAsync("wrong");
        };
        using var response = await _stage.GetAsync(_stage.Url("/uuid"));
        Assert.Equal((HttpStatusCode.BadGateway, 1), (response.StatusCode, _stage.Stats.Errors));
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
            await context.Response.Body.WriteAsync(_body);
        }
    };
}
