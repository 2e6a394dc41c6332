using System.Collections.Immutable;
using System.ComponentModel;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Credentials;

/// <summary>
/// A program of the operator's that says what a secret is: its standard output, or <c>{"value": …, "expires": …}</c>. It is run as the proxy's user, beside all
/// other work, when its answer is needed and the last one has expired; whoever needs the value waits for it, and nobody else does.
/// </summary>
/// <param name="name">Of the secret.</param>
/// <param name="options">What is run, how long it may take, and how long its answer counts.</param>
/// <param name="spawner">Starts it, as the leader of a session.</param>
internal sealed partial class SecretCommand(string name, SecretCommandOptions options, Spawner spawner, TimeProvider time, ILogger<SecretCommand> log)
{
    private const int MostOutput = 64 * 1024;

    /// <summary>One that fails is not run again for so long: whoever sends the placeholder again and again starts no program each time.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <summary>A value that counts for less than <c>ttl</c> may say is none: it would be asked for with each request.</summary>
    private static readonly TimeSpan LeastLifetime = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private Task? _running;
    private ChildProcess? _left;
    private Answer _last = new(null, "has not been run yet", DateTimeOffset.MinValue);

    /// <summary>Waits until <see cref="Read"/> has an answer that counts, or knows why there is none.</summary>
    public async ValueTask RefreshAsync(CancellationToken cancellation)
    {
        Task running;
        lock (_gate)
        {
            if (time.GetUtcNow() < _last.Until)
                return;
            if (_running is not { IsCompleted: false })
                _running = Task.Run(RunAsync, CancellationToken.None);
            running = _running;
        }

        await running.WaitAsync(cancellation);
    }

    /// <returns>The last value, which is looked for in requests also when it has expired, and why it must not be sent; null: it may.</returns>
    public (string? Value, string? Problem) Read()
    {
        lock (_gate)
            return (_last.Value, _last.Problem is { } problem ? $"its command {problem}" : time.GetUtcNow() < _last.Until ? null : "what its command said has expired");
    }

    // Never fails, or all who wait would: whatever went wrong is why there is no value.
    private async Task RunAsync()
    {
        Answer answer;
        try
        {
            answer = Understand(await OutputAsync());
        }
        catch (Exception e)
        {
            // A message of the system names the program and never what it wrote.
            var problem = e is FailedException ? e.Message : $"cannot be run ({(e is Win32Exception or IOException ? e.Message : e.GetType().Name)})";
            answer = new Answer(null, problem, time.GetUtcNow() + Pause);
            LogFailed(name, problem);
        }

        lock (_gate)
            _last = answer.Problem is null ? answer : answer with { Value = _last.Value };
    }

    private async Task<string> OutputAsync()
    {
        // What has become another user's nobody here can end. There is one of it, and not one more with each attempt.
        if (_left is { Exited.IsCompleted: false })
            throw new FailedException("goes on since it was run last, and cannot be ended");
        if (!File.Exists(options.Command[0]))
            throw new FailedException($"cannot be run ({options.Command[0]} is no file, or not one that the proxy may see)");
        var child = await spawner.StartAsync(new Launch($"command of {name}", options.Command)
        {
            Capture = true,
            EndsWithUs = Signal.Kill,
            Environment = UntrustedVariables.Without(),
        });
        using var limit = new CancellationTokenSource(options.Timeout, time);
        try
        {
            // Nobody reads what it complains of, which may hold what it was asked for.
            var complaints = child.Errors.BaseStream.CopyToAsync(Stream.Null, limit.Token);
            var output = new byte[MostOutput + 1];
            var length = await child.Output.BaseStream.ReadAtLeastAsync(output, output.Length, throwOnEndOfStream: false, limit.Token);
            if (length > MostOutput)
                throw new FailedException($"wrote more than {Quantity.Format(MostOutput)}");
            var code = await child.Exited.WaitAsync(limit.Token);
            await complaints;
            return code == 0 ? Encoding.UTF8.GetString(output, 0, length).TrimEnd('\r', '\n')
                : throw new FailedException(string.Create(CultureInfo.InvariantCulture, $"ended with {code}"));
        }
        catch (OperationCanceledException)
        {
            throw new FailedException($"did not end within {Quantity.Format(options.Timeout)}");
        }
        finally
        {
            await EndAsync(child);
        }
    }

    // Also where it has ended itself, or those whom it left would be more with each answer. Who has left its session descends from it as long as it runs.
    private async Task EndAsync(ChildProcess child)
    {
        var family = child.Exited.IsCompleted ? [] : ProcessTree.Read().DescendantsOf(child.Id).ToList();
        child.SendToGroup(Signal.Kill);
        family.ForEach(id => _ = Libc.Kill(id, (int)Signal.Kill));
        _left = await child.KillAsync() is null ? child : null;
        child.Output.Dispose();
        child.Errors.Dispose();
    }

    private Answer Understand(string output)
    {
        var (value, expires) = (output, time.GetUtcNow() + options.Ttl);
        if (output.StartsWith('{'))
        {
            try
            {
                using var json = JsonDocument.Parse(output);
                value = json.RootElement.GetProperty("value").GetString() ?? "";
                // Its own word counts; a lifetime that is written down as well ends it sooner.
                if (json.RootElement.TryGetProperty("expires", out var until))
                    expires = options.HasTtl && expires < until.GetDateTimeOffset() ? expires : until.GetDateTimeOffset();
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
            {
                throw new FailedException("wrote JSON that is not {\"value\": \"…\", \"expires\": \"2026-01-31T12:00:00Z\"}");
            }
        }

        if (expires - time.GetUtcNow() < LeastLifetime)
            throw new FailedException("said that its value has expired, or does within a second");
        if (CredentialOptions.ValueProblem("what it wrote", value) is { } problem)
            throw new FailedException($"gave nothing that can be used: {problem}");
        return new Answer(value, null, expires);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "command of a secret failed {Secret} {Reason}")]
    private partial void LogFailed(string secret, string reason);

    private sealed record Answer(string? Value, string? Problem, DateTimeOffset Until)
    {
        // A record prints its members; this one holds a secret.
        public override string ToString() => Problem ?? "***";
    }

    private sealed class FailedException(string message) : Exception(message);
}

/// <summary>How a secret is asked for.</summary>
/// <param name="Command">The program, by its absolute path, and its arguments.</param>
/// <param name="Ttl">How long an answer counts that does not say it.</param>
/// <param name="HasTtl">Whether that is written.</param>
/// <param name="Timeout">How long it may take.</param>
internal sealed record SecretCommandOptions(ImmutableArray<string> Command, TimeSpan Ttl, bool HasTtl, TimeSpan Timeout)
{
    private static readonly TimeSpan UsualTtl = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan UsualTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Reads <c>command</c>, <c>ttl</c> and <c>timeout</c> of a secret; null where there is no command.</summary>
    public static SecretCommandOptions? Read(ConfigNode secret)
    {
        var (command, ttl) = (secret["command"], secret["ttl"]);
        var words = command.AsStrings([]);
        var lifetime = ttl.AsDuration(UsualTtl, min: TimeSpan.FromSeconds(1), max: TimeSpan.FromDays(30));
        var timeout = secret["timeout"].AsDuration(UsualTimeout, min: TimeSpan.FromMilliseconds(100), max: TimeSpan.FromMinutes(1));
        if (command.IsAbsent)
            return null;
        if (words.IsEmpty || !words[0].StartsWith('/'))
            command.Error("must be a list of a program, by its absolute path, and its arguments, as in [/usr/local/bin/token, github]");
        return words.IsEmpty ? null : new SecretCommandOptions(words, lifetime, !ttl.IsAbsent, timeout);
    }
}
