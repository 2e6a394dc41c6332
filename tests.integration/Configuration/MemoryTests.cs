using System.Diagnostics;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Configuration;

/// <summary>Credentials are in the proxy's memory and environment. A neighbour of the same user, and a crash, do not bring them out.</summary>
public sealed class MemoryTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("discobot-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task No_process_of_its_user_can_look_into_it_and_a_crash_leaves_no_dump()
    {
        var (port, api) = (ProxyProcess.FreePort(), ProxyProcess.FreePort());
        File.Copy(Binary.Path, Path.Combine(_folder, "discobot"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "config.yaml"), $$$"""
            proxy: { port: {{{port}}}, api_port: {{{api}}} }
            tls: { cert_dir: {{{_folder}}}/certs }
            cache: {dir: {{{_folder}}}/cache}
            api: {token_file: {{{_folder}}}/token}
            headers: {a.example: {set: {Authorization: "env:SECRET_TOKEN"} } }
            """);
        if (Environment.IsPrivilegedProcess)
            await RunAsync("chown", "-R", "65534:65534", _folder);

        using var proxy = Process.Start(AsUser("bash", "-c", "ulimit -c unlimited; exec ./discobot proxy -config config.yaml"))!;
        try
        {
            await HealthyAsync(api);
            foreach (var file in new[] { "environ", "mem", "maps" })
            {
                var (code, seen) = await RunAsync(AsUser("head", "-c1000", $"/proc/{proxy.Id}/{file}"));
                Assert.NotEqual(0, code);
                Assert.DoesNotContain("s3cret", seen, StringComparison.Ordinal);
            }

            // ABRT is how a runtime ends itself when it cannot go on; its default is a core dump (signal(7)).
            await RunAsync("bash", "-c", $"kill -ABRT {proxy.Id}");
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            await proxy.WaitForExitAsync(limit.Token);
            Assert.Equal(128 + 6, proxy.ExitCode);
            Assert.DoesNotContain(Directory.EnumerateFiles(_folder), file => Path.GetFileName(file).StartsWith("core", StringComparison.Ordinal));
        }
        finally
        {
            proxy.Kill();
        }
    }

    // Root may look anywhere, so neither the proxy nor its neighbour is root here.
    private ProcessStartInfo AsUser(params string[] command)
    {
        string[] all = Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", .. command] : command;
        var start = new ProcessStartInfo(all[0], all[1..]) { WorkingDirectory = _folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["SECRET_TOKEN"] = "s3cret";
        start.Environment["HOME"] = _folder;
        return start;
    }

    private static Task<(int Code, string Said)> RunAsync(string program, params string[] arguments) =>
        RunAsync(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true });

    private static async Task<(int Code, string Said)> RunAsync(ProcessStartInfo start)
    {
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await errors);
    }

    private static async Task HealthyAsync(int api)
    {
        using var client = new HttpClient();
        for (var looks = 0; looks < 300; looks++)
        {
            try
            {
                using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{api}/health"));
                if (answer.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await Task.Delay(50);
        }

        Assert.Fail("The proxy is not healthy after 15 s.");
    }
}
