using System.Diagnostics;

namespace Discobot.Tests.Fixtures;

/// <summary>
/// A session under test: the executable as process 1 with a volume at /.data, its agent-api a script of the test's. Where it runs is the
/// derived class's: in namespaces of this machine, where a build takes no image, or in the shipped image of a distribution.
/// </summary>
internal abstract class Session
{
    /// <summary>How long a start, a text or an end may take on the slowest machine that runs the tests.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>The variables that process 1 begins with.</summary>
    public abstract Dictionary<string, string> Environment { get; }

    /// <summary>Whether it has a terminal, as with <c>docker run -t</c>.</summary>
    public bool Terminal { get; set; }

    /// <summary>Sets what the agent-api does, in sh; also between two starts.</summary>
    public void Agent(string script) => Program("/opt/discobot/bin/discobot-agent-api", script);

    /// <summary>The same for an agent that ends well: what it says is written at once, so that no line of process 1 comes between.</summary>
    public void AgentSays(string script) => Agent($"said=$({script})\necho \"$said\"\nexit 0");

    /// <summary>Puts an sh script at a path of the session's root.</summary>
    public abstract void Program(string path, string script);

    /// <summary>Starts it. May be called again after its end: the volume stays, as does what was written to the root.</summary>
    public abstract Task StartAsync();

    /// <summary>Starts it and waits for its end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<long> RunAsync(TimeSpan? patience = null)
    {
        await StartAsync();
        return await EndAsync(patience);
    }

    /// <summary>Waits for its end, for <see cref="Patience"/> unless the test knows better.</summary>
    /// <returns>The exit code.</returns>
    public async Task<long> EndAsync(TimeSpan? patience = null)
    {
        try
        {
            return await Ended.WaitAsync(patience ?? Patience);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"it did not end\n{await OutputAsync()}");
            throw;
        }
    }

    /// <summary>What it wrote since its last start.</summary>
    public abstract Task<string> OutputAsync();

    /// <summary>Waits until a text was written, a number of times.</summary>
    /// <returns>Everything it wrote.</returns>
    public async Task<string> SeeAsync(string text, int times = 1)
    {
        var watch = Stopwatch.StartNew();
        for (; ; )
        {
            var ended = Ended.IsCompleted;
            var output = await OutputAsync();
            if (output.Split(text).Length > times)
                return output;
            Assert.True(watch.Elapsed < Patience && !ended, $"never seen: {text}\n{output}");
            await Task.Delay(20);
        }
    }

    /// <summary>Sends a signal, named as kill(1) names it, to process 1.</summary>
    public abstract Task SendAsync(string signal);

    /// <summary>Runs an sh script in it as root, as <c>docker exec</c> does.</summary>
    /// <returns>What it wrote.</returns>
    public abstract Task<string> ShellAsync(string script);

    /// <summary>The exit code of the last start.</summary>
    protected abstract Task<long> Ended { get; }
}
