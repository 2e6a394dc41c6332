using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Discobot.Integration.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Integration.Configuration;

/// <summary>The running proxy follows its file, however editors and orchestrators replace it.</summary>
public sealed class LiveFileTests : IAsyncLifetime
{
    private const string Closed = "\nallowlist: {enabled: true}\n";
    private const string Open = "\nallowlist: {enabled: true, domains: [localhost], ips: [127.0.0.1]}\n";

    private readonly TestAuthority _authority = new();
    private ProxyProcess? _proxy;
    private Origin? _origin;
    private string _rest = "";

    private ProxyProcess Proxy => _proxy!;

    private string ConfigFile => Proxy.ConfigFile;

    public async Task InitializeAsync()
    {
        _proxy = await ProxyProcess.StartAsync(_authority);
        _origin = await Origin.StartAsync(_authority.Issue(["localhost"]), context => context.Response.WriteAsync("open"));
        _rest = await File.ReadAllTextAsync(ConfigFile);
    }

    public async Task DisposeAsync()
    {
        await _origin!.DisposeAsync();
        await Proxy.DisposeAsync();
    }

    [Fact]
    public async Task Editors_may_write_in_place_beside_or_anew()
    {
        await File.WriteAllTextAsync(ConfigFile, _rest + Closed);
        await BecomesAsync(HttpStatusCode.Forbidden);

        await File.WriteAllTextAsync(ConfigFile + ".tmp", _rest + Open);
        File.Move(ConfigFile + ".tmp", ConfigFile, overwrite: true);
        await BecomesAsync(HttpStatusCode.OK);

        File.Move(ConfigFile, ConfigFile + "~");
        await File.WriteAllTextAsync(ConfigFile, _rest + Closed);
        await BecomesAsync(HttpStatusCode.Forbidden);

        // In many small steps, of which none is a configuration before the last.
        await using (var file = new FileStream(ConfigFile, FileMode.Create, FileAccess.Write, FileShare.ReadWrite))
        {
            foreach (var piece in Encoding.UTF8.GetBytes(_rest + Open).Chunk(40))
            {
                await file.WriteAsync(piece);
                await file.FlushAsync();
                await Task.Delay(5);
            }
        }

        await BecomesAsync(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_file_that_vanishes_or_is_wrong_changes_nothing_until_a_good_one_is_there()
    {
        await File.WriteAllTextAsync(ConfigFile, _rest + Closed);
        await BecomesAsync(HttpStatusCode.Forbidden);

        File.Delete(ConfigFile);
        await SaysAsync("does not exist");
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync());

        await File.WriteAllTextAsync(ConfigFile, _rest + "\nallowlist: {enabled: perhaps}\n");
        await SaysAsync("must be true or false, not");
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync());

        await File.WriteAllTextAsync(ConfigFile, _rest + Open);
        await BecomesAsync(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_volume_of_Kubernetes_swaps_a_link_to_a_directory()
    {
        var data = Path.Combine(Proxy.Folder, "..data");
        Swap("..2026_01", Open);
        File.Delete(ConfigFile);
        File.CreateSymbolicLink(ConfigFile, "..data/config.yaml");
        await BecomesAsync(HttpStatusCode.OK);
        foreach (var round in Enumerable.Range(2, 4))
        {
            Swap($"..2026_0{round}", round % 2 == 0 ? Closed : Open);
            Directory.Delete(Path.Combine(Proxy.Folder, $"..2026_0{round - 1}"), recursive: true);
            await BecomesAsync(round % 2 == 0 ? HttpStatusCode.Forbidden : HttpStatusCode.OK);
        }

        void Swap(string directory, string allowlist)
        {
            Directory.CreateDirectory(Path.Combine(Proxy.Folder, directory));
            File.WriteAllText(Path.Combine(Proxy.Folder, directory, "config.yaml"), _rest + allowlist);
            Directory.CreateSymbolicLink(data + "_tmp", directory);
            // As the kubelet does: rename(2) over the old link, which File.Move refuses for links to directories.
            using var mv = Process.Start("mv", ["-T", data + "_tmp", data]);
            mv.WaitForExit();
        }
    }

    [Fact]
    public async Task SIGHUP_takes_back_what_the_API_changed()
    {
        await File.WriteAllTextAsync(ConfigFile, _rest + Closed);
        await BecomesAsync(HttpStatusCode.Forbidden);
        using var client = new HttpClient();
        using var change = new HttpRequestMessage(HttpMethod.Patch, new Uri(Proxy.Api, "/api/config"))
        {
            Content = new StringContent("{\"allowlist\": {\"enabled\": false}}", Encoding.UTF8, "application/json"),
        };
        change.Headers.Authorization = new AuthenticationHeaderValue("Bearer", (await File.ReadAllTextAsync(Path.Combine(Proxy.Folder, "api.token"))).Trim());
        using var answer = await client.SendAsync(change);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.OK, await AskAsync());

        await Proxy.SignalAsync("HUP");
        await BecomesAsync(HttpStatusCode.Forbidden);
    }

    private async Task<HttpStatusCode> AskAsync()
    {
        using var client = Proxy.CreateClient();
        using var answer = await client.GetAsync(_origin!.Http);
        return answer.StatusCode;
    }

    private Task BecomesAsync(HttpStatusCode status) => EventuallyAsync(async () =>
    {
        try
        {
            return await AskAsync() == status;
        }
        catch (HttpRequestException)
        {
            // A request that is under way when the rules begin to forbid it is cut off.
            return false;
        }
    });

    private Task SaysAsync(string words) => EventuallyAsync(() => Task.FromResult(Proxy.Log.Contains(words, StringComparison.Ordinal)));

    private async Task EventuallyAsync(Func<Task<bool>> condition)
    {
        for (var looks = 0; !await condition(); looks++)
        {
            Assert.True(looks < 200, Proxy.Log);
            await Task.Delay(50);
        }
    }
}
