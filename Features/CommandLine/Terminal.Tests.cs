using System.Diagnostics;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine;

/// <summary>The executable on a terminal of its own: what it leaves there for the program after it.</summary>
public sealed class TerminalTests : IDisposable
{
    // Prints the terminal's settings before and after, and what was written in between, escapes as \033; all of it when it took too long.
    private const string Script = """
        import os, pty, select, signal, sys, termios, time
        kill, argv = sys.argv[1], sys.argv[2:]
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            import fcntl
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for i in range(3): os.dup2(slave, i)
            # As a terminal's shell leaves them. Whoever runs the tests in the background of a script has them ignored, and that is inherited.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP): signal.signal(number, signal.SIG_DFL)
            os.execvp(argv[0], argv)
        text, sent, limit = b'', False, time.time() + 30
        while True:
            if select.select([master], [], [], 0.1)[0]: text += os.read(master, 65536)
            if b'ready' in text and not sent and kill != '-':
                sent = True
                os.write(master, b'\x03') if kill == 'C' else os.kill(pid, signal.SIGKILL)
            if os.waitpid(pid, os.WNOHANG)[0]: break
            if time.time() > limit: os.kill(pid, signal.SIGKILL); text += b'TOO LONG'; limit += 1000
        while select.select([master], [], [], 0.2)[0]: text += os.read(master, 65536)
        print('same' if termios.tcgetattr(slave) == before else 'changed', text.count(b'\x1b'), len(text) > 0, b'TOO LONG' in text,
              *([text] if b'TOO LONG' in text else []))
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("--version")]
    [InlineData("help")]
    [InlineData("cache stats --help")]
    [InlineData("frobnicate")]
    [InlineData("health --api 127.0.0.1:1")]
    [InlineData("config check /nonexistent")]
    public async Task A_tool_sends_the_terminal_text_and_nothing_else(string arguments) =>
        Assert.Equal("same 0 True False\n", await RunAsync("-", arguments.Split(' ')));

    [Theory]
    [InlineData("C")]
    [InlineData("KILL")]
    public async Task The_proxy_leaves_the_terminal_as_it_was_also_when_it_is_interrupted_or_killed(string how)
    {
        var file = Path.Combine(_directory, "config.yaml");
        await File.WriteAllTextAsync(file, $$"""
            proxy: {port: {{RunningProxy.FreePort()}}, api_port: {{RunningProxy.FreePort()}}, listen: 127.0.0.1}
            tls: {cert_dir: {{_directory}}/certs}
            cache: {dir: {{_directory}}/cache}
            api: {token_file: {{_directory}}/token, listen: 127.0.0.1}
            """);
        Assert.Equal("same 0 True False\n", await RunAsync(how, "proxy", "--config", file));
    }

    private static async Task<string> RunAsync(string kill, params string[] arguments)
    {
        var executable = Executable.Path;
        using var process = Process.Start(new ProcessStartInfo("python3", ["-c", Script, kill, executable, .. arguments])
        {
            RedirectStandardOutput = true,
            Environment = { ["TERM"] = "xterm", ["DOTNET_EnableDiagnostics"] = "0" },
        })!;
        var said = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return said;
    }
}
