using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Discobot.Integration.Fixtures;

/// <summary>The shipped executable as a process of this machine: free ports, a folder of its own, and its log kept.</summary>
internal sealed class ProxyProcess : IAsyncDisposable
{
    private static readonly ConcurrentDictionary<int, bool> GivenPorts = new();
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(15);
    private readonly StringBuilder _log = new();
    private Process _process = new();

    private ProxyProcess(string folder, int port, int apiPort)
    {
        Folder = folder;
        Proxy = new Uri($"http://127.0.0.1:{port}");
        Api = new Uri($"http://127.0.0.1:{apiPort}");
    }

    public Uri Proxy { get; }

    public Uri Api { get; }

    /// <summary>Configuration, certificates and cache; removed at the end.</summary>
    public string Folder { get; }

    /// <summary>Followed by the proxy.</summary>
    public string ConfigFile => Path.Combine(Folder, "config.yaml");

    public string CacheFolder => Path.Combine(Folder, "cache");

    public string AuthorityFile => Path.Combine(Folder, "certs", "ca.crt");

    public int Id => _process.Id;

    public string Log
    {
        get
        {
            lock (_log)
                return _log.ToString();
        }
    }

    /// <summary>Starts the proxy and waits until it says that it is healthy.</summary>
    /// <param name="upstream">Whose servers it shall trust beside the system's roots.</param>
    /// <param name="moreOfProxySection">Lines for the <c>proxy</c> section, indented by two.</param>
    public static async Task<ProxyProcess> StartAsync(TestAuthority upstream, string moreOfProxySection = "")
    {
        var folder = Directory.CreateTempSubdirectory("discobot-").FullName;
        var (port, apiPort) = (FreePort(), FreePort());
        await File.WriteAllTextAsync(Path.Combine(folder, "upstream-ca.crt"), upstream.RootPem);
        var proxy = new ProxyProcess(folder, port, apiPort);
        await File.WriteAllTextAsync(proxy.ConfigFile, $"""
            proxy:
              port: {port}
              api_port: {apiPort}
              upstream: direct
            {moreOfProxySection}
            api:
              token_file: {folder}/api.token
            tls:
              cert_dir: {folder}/certs
              extra_ca: [{folder}/upstream-ca.crt]
            cache:
              enabled: true
              dir: {folder}/cache
              max_size: 1GiB
            """);
        await proxy.LaunchAsync();
        return proxy;
    }

    /// <summary>Ends the process as a power failure would (SIGKILL), and starts it again on what it left.</summary>
    public async Task KillAndRestartAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        await LaunchAsync();
    }

    /// <summary>A client that goes through the proxy and trusts nothing but the proxy's own authority.</summary>
    public HttpClient CreateClient(Version? version = null) =>
        new(new SocketsHttpHandler { Proxy = new WebProxy(Proxy), SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = Trust() } })
        {
            DefaultRequestVersion = version ?? HttpVersion.Version11,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };

    /// <summary>How a .NET client comes to trust the proxy.</summary>
    public X509ChainPolicy Trust()
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(AuthorityFile);
        return policy;
    }

    /// <summary>The most memory the process ever held, in bytes (VmHWM of /proc/PID/status).</summary>
    public long PeakResident()
    {
        var line = File.ReadLines($"/proc/{_process.Id}/status").First(each => each.StartsWith("VmHWM:", StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
    }

    /// <summary>Runs curl through the proxy, trusting it.</summary>
    public async Task<string> CurlAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("curl", ["-sS", "--cacert", AuthorityFile, "-x", Proxy.ToString(), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var curl = Process.Start(start)!;
        var (output, errors) = (curl.StandardOutput.ReadToEndAsync(), curl.StandardError.ReadToEndAsync());
        await curl.WaitForExitAsync();
        Assert.True(curl.ExitCode == 0, $"curl ended with {curl.ExitCode}: {await errors}\n{Log}");
        return await output;
    }

    /// <summary>Sends a signal.</summary>
    /// <param name="name">As kill(1) calls it: TERM, HUP.</param>
    public async Task SignalAsync(string name)
    {
        using var kill = Process.Start("bash", ["-c", $"kill -{name} {_process.Id}"]);
        await kill.WaitForExitAsync();
    }

    /// <summary>Sends SIGTERM and waits for the end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync()
    {
        await SignalAsync("TERM");
        using var limit = new CancellationTokenSource(StopLimit);
        await _process.WaitForExitAsync(limit.Token);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            var code = _process.HasExited ? _process.ExitCode : await StopAsync();
            Assert.True(code == 0, $"The proxy ended with {code}:\n{Log}");
        }
        finally
        {
            if (!_process.HasExited)
                _process.Kill();
            _process.Dispose();
            Directory.Delete(Folder, recursive: true);
        }
    }

    /// <summary>A port that is free, and given to nobody else of this run: one that was closed again is soon the kernel's next choice.</summary>
    public static int FreePort()
    {
        while (true)
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            if (GivenPorts.TryAdd(((IPEndPoint)listener.LocalEndpoint).Port, true))
                return ((IPEndPoint)listener.LocalEndpoint).Port;
        }
    }

    private async Task LaunchAsync()
    {
        var start = new ProcessStartInfo(Binary.Path, ["proxy", "-config", ConfigFile]) { RedirectStandardOutput = true, RedirectStandardError = true };
        _process = Process.Start(start)!;
        _process.OutputDataReceived += Keep;
        _process.ErrorDataReceived += Keep;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await WaitUntilHealthyAsync();
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_log)
            _log.AppendLine(line.Data);
    }

    private async Task WaitUntilHealthyAsync()
    {
        using var client = new HttpClient();
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var answer = await client.GetAsync(new Uri(Api, "/health"));
                if (answer.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            Assert.False(_process.HasExited, $"The proxy ended at once:\n{Log}");
            Assert.True(watch.Elapsed < StartLimit, $"The proxy is not healthy after {StartLimit}:\n{Log}");
            await Task.Delay(20);
        }
    }
}
