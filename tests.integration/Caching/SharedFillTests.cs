using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Caching;

/// <summary>Many clients, one download.</summary>
public sealed class SharedFillTests
{
    [Fact]
    public async Task Fifty_clients_of_a_missing_blob_cause_one_download_and_those_who_leave_spoil_nothing()
    {
        var authority = new TestAuthority();
        var blobs = new BlobOrigin { Pause = TimeSpan.FromMilliseconds(500) };
        await using var origin = await Origin.StartAsync(authority.Issue(["localhost"]), blobs.AnswerAsync);
        await using var proxy = await ProxyProcess.StartAsync(authority);
        var path = blobs.Add(3_000_000);
        using var client = proxy.CreateClient();
        using var leave = new CancellationTokenSource();

        var leaving = Enumerable.Range(0, 10).Select(_ => client.GetByteArrayAsync(new Uri(origin.Https, path), leave.Token)).ToArray();
        var staying = Enumerable.Range(0, 40).Select(_ => client.GetByteArrayAsync(new Uri(origin.Https, path))).ToArray();
        while (blobs.TimesAsked(path) == 0)
            await Task.Delay(5);
        await leave.CancelAsync();

        foreach (var body in await Task.WhenAll(staying))
            Assert.Equal(blobs.Content(path), body);
        Assert.All(leaving, task => Assert.False(task.IsCompletedSuccessfully));
        Assert.Equal(1, blobs.TimesAsked(path));
    }
}
