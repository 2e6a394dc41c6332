using System.Diagnostics;
using System.Globalization;
using System.Text;
using CsCheck;

namespace Discobot.Fuzz;

/// <summary>
/// One parser, and what must hold for it whatever the bytes. The unit tests replay the corpus and a few inputs grown from it;
/// <c>make fuzz</c> grows inputs for minutes. A finding is kept as a file in the corpus, so that it never comes back.
/// </summary>
/// <remarks>
/// CsCheck and not SharpFuzz: what breaks these parsers is not a branch never taken, which coverage would lead to, but an answer
/// that is wrong, which only properties tell. Inputs grow from real messages and the words of each grammar; nothing has to be
/// instrumented, and no driver outside .NET is needed, so a finding is replayed by the same code with the unit tests.
/// </remarks>
public abstract class FuzzTarget
{
    /// <summary>Far beyond what any of these inputs takes, on a machine however busy.</summary>
    private static readonly TimeSpan Hung = TimeSpan.FromMinutes(1);

    /// <summary>What a byte of the input may cost, read in pieces and copied a few times.</summary>
    private const int AllocatedPerByte = 4096;

    private byte[] _current = [];
    private byte[]? _finding;
    private long _count;
    private long _seen;

    /// <summary>What the grammar is made of: spliced into inputs.</summary>
    protected abstract string[] Words { get; }

    /// <summary>Throws when a property does not hold.</summary>
    protected abstract void Check(byte[] input);

    /// <summary>How many inputs a plain test run tries, so that all targets together take about a second.</summary>
    protected virtual int Quick => 1000;

    /// <summary>Bytes that an input may cost however short it is.</summary>
    protected virtual int AllocatedAnyway => 1024 * 1024;

    private string Name => GetType().Name;

    [Fact]
    public void The_corpus_holds()
    {
        var inputs = Corpus.Of(Name);
        Assert.NotEmpty(inputs);
        Assert.All(inputs, Measure);
    }

    [Fact]
    public void What_grows_from_the_corpus_holds()
    {
        var inputs = Mutations.Of(Corpus.Of(Name), [.. Words.Select(Encoding.UTF8.GetBytes)]);
        var seconds = Environment.GetEnvironmentVariable("FUZZ_SECONDS") is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : 0;
        using var watch = seconds > 0 ? new Timer(_ => FailWhenHung(), null, Hung, Hung) : null;
        var clock = Stopwatch.StartNew();
        try
        {
            if (seconds > 0)
                inputs.Sample(Measure, time: seconds, threads: 1, print: Mutations.Print);
            else
                inputs.Sample(Measure, iter: Quick, threads: 1, print: Mutations.Print);
        }
        finally
        {
            if (_finding is not null)
                Corpus.Keep(Name, "finding", _finding);
        }

        if (seconds > 0)
            Corpus.Keep(Name, "run", Encoding.ASCII.GetBytes($"{Name}: {_count} inputs in {clock.Elapsed.TotalSeconds:0} s, no finding\n"));
    }

    private void Measure(byte[] input)
    {
        Volatile.Write(ref _current, input);
        Interlocked.Increment(ref _count);
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            Check(input);
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated < AllocatedAnyway + (long)AllocatedPerByte * input.Length, $"{input.Length} bytes made it allocate {allocated}");
        }
        catch (Exception)
        {
            if (_finding is null || input.Length <= _finding.Length)
                _finding = input;
            throw;
        }
    }

    // Called now and then: when no further input was begun since, nothing ends the current one.
    private void FailWhenHung()
    {
        var count = Interlocked.Read(ref _count);
        if (count == _seen)
        {
            Corpus.Keep(Name, "hung", Volatile.Read(ref _current));
            Environment.FailFast($"{Name} does not end; the input is in artifacts/fuzz");
        }

        _seen = count;
    }
}
