using System.Diagnostics;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Credentials;

/// <summary>Programs that people use, each with a placeholder where it expects a token, and a server that lets in whoever has the token.</summary>
public sealed class CredentialClientsTests : IAsyncLifetime
{
    private const string Secret = "the-operators-own-token";

    // Longer than any of them takes on a machine that is busy with other things.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    private string Directory => Path.GetDirectoryName(_proxy.LogFile)!;

    private string Host => $"localhost:{_origin.HttpsPort}";

    public async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_OWN", Secret);
        _proxy = await RunningProxy.StartAsync("secrets: {own: {value: \"env:DISCOBOT_TEST_OWN\", hosts: [localhost], env: TOKEN}}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), AnswerAsync);
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("curl -sS --oauth2-bearer $TOKEN https://$HOST/api", "let in")]
    [InlineData("curl -sS -u x-access-token:$TOKEN https://$HOST/api", "let in")]
    [InlineData("curl -sS --oauth2-bearer wrong https://$HOST/api", "who are you")]
    [InlineData("curl -sS --oauth2-bearer $TOKEN https://$HOST/echo; echo \" for $TOKEN\"", "Bearer $TOKEN for $TOKEN")]
    [InlineData("curl -sS0 -u x:$TOKEN https://$HOST/echo; echo \" of $(printf x:$TOKEN | base64 -w0)\"", "Basic $BASIC of $BASIC")]
    [InlineData("git ls-remote https://x-access-token:$TOKEN@$HOST/repo.git", "refs/heads/main")]
    [InlineData("git -c 'credential.helper=!f() { echo username=anybody; echo password=$TOKEN; }; f' ls-remote https://$HOST/repo.git", "refs/heads/main")]
    [InlineData("printf '%s\\n' \"registry=https://$HOST/\" \"//$HOST/:_authToken=\\${TOKEN}\" \"cafile=$CA\" \"https-proxy=$HTTPS_PROXY\" 'update-notifier=false' > $HOME/.npmrc; npm view demo version", "1.2.3")]
    [InlineData("python3 -m pip index versions demo --disable-pip-version-check --index-url https://__token__:$TOKEN@$HOST/simple/", "demo (1.2.3)")]
    public async Task It_is_let_in(string script, string answer)
    {
        if (await RunAsync(script.StartsWith("python3", StringComparison.Ordinal) ? "python3 -m pip --version" : script.Contains("npm", StringComparison.Ordinal) ? "npm --version" : "true") is not (0, _))
            return;
        var (_, output) = await RunAsync(script);
        var token = await TokenAsync();
        answer = answer.Replace("$TOKEN", token, StringComparison.Ordinal).Replace("$BASIC", Convert.ToBase64String(Encoding.ASCII.GetBytes($"x:{token}")), StringComparison.Ordinal);
        Assert.Contains(answer, output, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, output, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, await File.ReadAllTextAsync(_proxy.LogFile), StringComparison.Ordinal);
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        var sent = context.Request.Headers.Authorization.ToString();
        var isLetIn = sent == $"Bearer {Secret}" || (sent.StartsWith("Basic ", StringComparison.Ordinal)
            && Encoding.UTF8.GetString(Convert.FromBase64String(sent[6..])).EndsWith($":{Secret}", StringComparison.Ordinal));
        if (!isLetIn)
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"test\"";
        }

        (context.Response.ContentType, var text) = !isLetIn ? ("text/plain", "who are you") : context.Request.Path.Value switch
        {
            // What git reads of servers that know nothing of it.
            "/repo.git/info/refs" => ("text/plain", $"{new string('a', 40)}\trefs/heads/main\n"),
            "/repo.git/HEAD" => ("text/plain", "ref: refs/heads/main\n"),
            "/echo" => ("text/plain", sent),
            "/demo" => ("application/json", "{\"name\":\"demo\",\"dist-tags\":{\"latest\":\"1.2.3\"},\"versions\":{\"1.2.3\":{\"name\":\"demo\",\"version\":\"1.2.3\",\"dist\":{\"tarball\":\"https://localhost/demo-1.2.3.tgz\"}}}}"),
            "/simple/demo/" => ("text/html", "<!DOCTYPE html><html><body><a href=\"demo-1.2.3.tar.gz\">demo-1.2.3.tar.gz</a></body></html>"),
            _ => ("text/plain", "let in"),
        };
        await context.Response.WriteAsync(text);
    }

    private async Task<string> TokenAsync() => (await File.ReadAllTextAsync(Path.Combine(Directory, "placeholders.env"))).Trim()["TOKEN=".Length..];

    private async Task<(int Code, string Output)> RunAsync(string script)
    {
        var home = System.IO.Directory.CreateDirectory(Path.Combine(Directory, "home")).FullName;
        var ca = Path.Combine(Directory, "certs", "ca.crt");
        var start = new ProcessStartInfo("/bin/sh", ["-c", $"exec 2>&1; {script}"]) { RedirectStandardOutput = true, RedirectStandardInput = true, WorkingDirectory = home };
        foreach (var name in start.Environment.Keys.Where(name => name is not ("PATH" or "DOTNET_ROOT") && !name.StartsWith("PYENV", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(name);
        foreach (var (name, value) in new[]
        {
            ("TOKEN", await TokenAsync()), ("HOST", Host), ("HOME", home), ("CA", ca), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_CONFIG_NOSYSTEM", "1"),
            ("HTTPS_PROXY", $"http://127.0.0.1:{_proxy.Port}"), ("CURL_CA_BUNDLE", ca), ("GIT_SSL_CAINFO", ca), ("PIP_CERT", ca),
        })
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            var output = await process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, output);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
