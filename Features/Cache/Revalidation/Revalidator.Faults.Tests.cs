using System.Net;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>Bodies that change, are damaged, come slowly or are forbidden while records of them are confirmed.</summary>
public sealed class RevalidatorFaultsTests : IAsyncLifetime
{
    private readonly byte[][] _bodies = [.. Enumerable.Range(0, 8).Select(_ => TemporaryCache.Body(400_000))];
    private CacheStage _stage = null!;
    private string _control = "max-age=0";
    private int _version;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync(o => o with { Rules = [new CacheRule { Mode = CacheMode.Revalidate, Pattern = new Regex("^/doc") }] });
        _stage.Silence = TimeSpan.FromSeconds(5);
        await _stage.RestartAsync();
        _stage.Origin = context =>
        {
            var tag = $"\"{_version}\"";
            context.Response.Headers.CacheControl = _control;
            context.Response.Headers.ETag = tag;
            if (context.Request.Headers.IfNoneMatch == tag)
                return CacheStage.Status(context, 304);
            context.Response.ContentLength = _bodies[_version].Length;
            return context.Response.Body.WriteAsync(_bodies[_version]).AsTask();
        };
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    private Uri Document => _stage.Url("/doc");

    /// <summary>The confirmation comes while the new body is still being flushed to the disk.</summary>
    [Fact]
    public async Task A_body_that_has_just_changed_and_is_confirmed_at_once_is_the_new_one_ever_after()
    {
        for (_version = 0; _version < _bodies.Length; _version++)
        {
            await _stage.ExpectAsync("MISS", _bodies[_version], Document);
            await _stage.ExpectAsync("HIT", _bodies[_version], Document);
            await _stage.Store.CommittedAsync();
            await _stage.ExpectAsync("HIT", _bodies[_version], Document);
        }

        _version--;
        await _stage.RestartAsync();
        await _stage.ExpectAsync("HIT", _bodies[_version], Document);
        Assert.Equal(0, _stage.Stats.Errors);
    }

    [Fact]
    public async Task A_body_that_is_damaged_after_its_record_was_confirmed_is_dropped_and_fetched_again()
    {
        await _stage.ExpectAsync("MISS", _bodies[0], Document);
        await _stage.Store.CommittedAsync();
        await _stage.ExpectAsync("HIT", _bodies[0], Document);
        var entry = Assert.Single(_stage.Store.Index.ToArray());
        await _stage.RestartAsync();
        await File.WriteAllBytesAsync(Path.Join(_stage.Files.Dir, entry.Key.ToString()), [.. _bodies[0][..^1], (byte)~_bodies[0][^1]]);

        var tries = 0;
        for (var right = false; !right && tries < 3; tries++)
        {
            try
            {
                right = (await _stage.FetchAsync(Document)).Body.AsSpan().SequenceEqual(_bodies[0]);
            }
            catch (HttpRequestException)
            {
                // Found in the middle of an answer: that one is broken off, no other.
            }
        }

        Assert.True(tries <= 2);
        Assert.Equal(1, _stage.Stats.Errors);
    }

    [Fact]
    public async Task A_download_may_take_longer_than_an_upstream_may_be_silent()
    {
        _stage.Origin = async context =>
        {
            context.Response.Headers.CacheControl = "max-age=60";
            context.Response.ContentLength = 20_000;
            for (var at = 0; at < 20_000; at += 1000) // for longer than the limit, in all
            {
                await context.Response.Body.WriteAsync(_bodies[0].AsMemory(at, 1000));
                await context.Response.Body.FlushAsync();
                await Task.Delay(300);
            }
        };
        await _stage.ExpectAsync("MISS", _bodies[0][..20_000], Document);
        await _stage.ExpectAsync("HIT", _bodies[0][..20_000], Document);
        Assert.Single(_stage.Asked);
    }

    [Theory]
    [InlineData("private, max-age=60")]
    [InlineData("no-store")]
    public async Task What_is_no_longer_to_be_kept_is_said_by_a_confirmation_too(string control)
    {
        await _stage.ExpectAsync("MISS", _bodies[0], Document);
        _control = control;
        await _stage.ExpectAsync("HIT", _bodies[0], Document);
        await _stage.ExpectAsync("MISS", _bodies[0], Document);
        Assert.Empty(_stage.Store.Index.ToArray());
    }

    [Fact]
    public async Task What_new_rules_forbid_is_not_downloaded_any_further()
    {
        var go = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            context.Response.Headers.CacheControl = "max-age=60";
            context.Response.ContentLength = 400_000;
            await context.Response.Body.WriteAsync(_bodies[0].AsMemory(0, 1000));
            await context.Response.Body.FlushAsync();
            await go.Task.WaitAsync(TimeSpan.FromSeconds(5));
            await context.Response.Body.WriteAsync(_bodies[0].AsMemory(1000));
        };
        using (var response = await _stage.GetAsync(Document))
        {
            _stage.Policy.Forbidden = "/doc";
            _stage.Traffic.JudgeAgain();
            go.SetResult();
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        }

        Assert.Equal(0, _stage.Stats.Stores);
    }

    [Fact]
    public async Task A_day_is_not_added_where_the_origin_wants_to_be_asked()
    {
        _control = "max-age=0, must-revalidate";
        var rpm = _stage.Url("/repo/agent-1.2-3.x86_64.rpm");
        await _stage.ExpectAsync("MISS", _bodies[0], rpm);
        _version = 1;
        await _stage.ExpectAsync("MISS", _bodies[1], rpm);
    }

    /// <summary>A container that slept, a machine whose battery was empty.</summary>
    [Theory]
    [InlineData(365)]
    [InlineData(-365)]
    public async Task A_clock_that_is_set_by_a_year_costs_a_question_and_no_answer(int days)
    {
        _control = "max-age=600";
        var (file, index) = (_stage.Url("/left/-/left-1.0.0.tgz"), _stage.Url("/simple/left/"));
        foreach (var url in new[] { Document, file, index })
            await _stage.ExpectAsync("MISS", _bodies[0], url);
        foreach (var ahead in new[] { TimeSpan.FromDays(days), TimeSpan.Zero })
        {
            _stage.Time.Ahead = ahead;
            foreach (var url in new[] { Document, file, index })
            {
                var asked = _stage.Asked.Count;
                await _stage.ExpectAsync("HIT", _bodies[0], url);
                await _stage.ExpectAsync("HIT", _bodies[0], url);
                // An origin whose own clock is a year behind seems to answer with what is a year old (RFC 9111, 4.2.3), and is asked each time.
                Assert.InRange(_stage.Asked.Count - asked, 1, ahead > TimeSpan.Zero ? 2 : 1);
            }
        }

        await _stage.Store.CommittedAsync();
        _stage.Time.Ahead = TimeSpan.FromDays(days);
        await _stage.StopOriginAsync();
        await _stage.RestartAsync();
        foreach (var url in new[] { Document, file, index })
            await _stage.ExpectAsync("HIT", _bodies[0], url);
    }

    [Fact]
    public async Task What_is_stored_after_a_clock_was_set_back_answers_though_it_seems_older_than_what_was_there()
    {
        var serve = _stage.Origin;
        _control = "max-age=600";
        await _stage.ExpectAsync("MISS", _bodies[0], Document);
        _stage.Time.Ahead = -TimeSpan.FromDays(365);
        _version = 1;
        _stage.Origin = context =>
        {
            context.Response.Headers.Vary = "X-Requested-With";
            return serve(context);
        };
        await _stage.ExpectAsync("MISS", _bodies[1], Document);
        await _stage.ExpectAsync("HIT", _bodies[1], Document);
        Assert.Equal(2, _stage.Asked.Count);
    }

    [Fact]
    public async Task A_disk_that_takes_nothing_costs_nobody_an_answer()
    {
        var temporary = Path.Join(_stage.Files.Dir, "tmp");
        Directory.Delete(temporary, recursive: true);
        await File.WriteAllTextAsync(temporary, "no directory");
        foreach (var url in new[] { Document, _stage.Url("/left/-/left-1.0.0.tgz"), _stage.Url("/simple/left/"), _stage.Blob(_bodies[0]) })
        {
            for (var i = 0; i < 2; i++)
                await _stage.ExpectAsync("MISS", _bodies[0], url);
        }

        File.Delete(temporary);
        Directory.CreateDirectory(temporary);
        await _stage.ExpectAsync("MISS", _bodies[0], Document);
        await _stage.ExpectAsync("HIT", _bodies[0], Document);
    }

    [Fact]
    public async Task No_password_can_be_tried_on_what_is_on_the_disk()
    {
        _control = "max-age=60";
        using (var response = await _stage.GetAsync(Document, r => r.Headers.TryAddWithoutValidation("Authorization", "Basic dTpw")))
            Assert.Equal(_bodies[0], await response.Content.ReadAsByteArrayAsync());
        await _stage.Store.CommittedAsync();
        var records = Directory.GetFiles(_stage.Files.Dir, "*.meta").Select(File.ReadAllText).ToArray();
        Assert.Contains(records, r => r.Contains("authorization=", StringComparison.Ordinal));
        Assert.DoesNotContain(records, r => r.Contains(Hash256.Of("Authorization: Basic dTpw\n").ToString(), StringComparison.Ordinal));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Join(_stage.Files.Dir, ".credentials")));
    }
}
