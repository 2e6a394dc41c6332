using System.Text.RegularExpressions;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>A client that can send anything, an origin that answers by it, and how much of that is kept.</summary>
public sealed class VariantsTests : IAsyncLifetime
{
    private const int Sent = Variants.MaxKept + 20;

    private CacheStage _stage = null!;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync(o => o with { Rules = [new CacheRule { Mode = CacheMode.Revalidate, Pattern = new Regex("^/doc") }] });
        _stage.Origin = context =>
        {
            context.Response.Headers.Vary = "Accept";
            context.Response.Headers.CacheControl = "max-age=3600";
            context.Response.Headers.ETag = "\"1\"";
            return context.Response.Body.WriteAsync("the same for all"u8.ToArray()).AsTask();
        };
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task Of_one_address_the_variants_used_last_are_kept_also_after_a_restart()
    {
        for (var i = 0; i < Sent; i++)
        {
            // The first is used all the while.
            Assert.Equal("MISS", await AskAsync($"a/{i}"));
            _stage.Time.Ahead += TimeSpan.FromSeconds(1);
            Assert.Equal("HIT", await AskAsync("a/0"));
            _stage.Time.Ahead += TimeSpan.FromSeconds(1);
            if (i == Sent / 2)
                await _stage.RestartAsync();
        }

        // And the record of their names.
        await CacheStage.EventuallyAsync(() => _stage.Store.Index.Count == Variants.MaxKept + 1);
        Assert.Equal("HIT", await AskAsync($"a/{Sent - 1}"));
        Assert.Equal("MISS", await AskAsync("a/1"));
    }

    [Fact]
    public async Task Of_one_address_the_answers_to_credentials_are_bounded_too()
    {
        for (var i = 0; i < Sent; i++)
            await AskAsync("a/b", $"Bearer {i}");
        // Each has its names' record beside it; all have their number.
        await CacheStage.EventuallyAsync(() => _stage.Store.Index.Count <= Variants.MaxKept + 2);
    }

    private async Task<string?> AskAsync(string accept, string? credential = null)
    {
        using var response = await _stage.GetAsync(_stage.Url("/doc"), r =>
        {
            r.Headers.TryAddWithoutValidation("Accept", accept);
            if (credential is not null)
                r.Headers.TryAddWithoutValidation("Authorization", credential);
        });
        await response.Content.ReadAsByteArrayAsync();
        return CacheStage.XCache(response);
    }
}
