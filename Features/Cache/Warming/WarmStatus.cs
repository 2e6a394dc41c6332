using System.Text.Json.Serialization;

namespace Discobot.Features.Cache.Warming;

/// <summary>How far what is being brought in is, whoever asked for it, and how what was brought in last has ended.</summary>
internal sealed class WarmStatus
{
    /// <summary>Items that are told one by one; those that have failed are beyond that only counted.</summary>
    private const int MaxListed = 100;

    private readonly Lock _lock = new();
    private readonly Dictionary<(long Run, int Item), WarmProgress> _running = [];
    private readonly Queue<WarmProgress> _failed = [];
    private long _runs;
    private int _active, _named, _stored, _here, _failures;
    private long _bytes;

    /// <summary>Somebody asks for so many things. Where nobody waits for any, it begins anew.</summary>
    public Run Begin(int count)
    {
        lock (_lock)
        {
            if (_active++ == 0)
            {
                (_named, _stored, _here, _failures, _bytes) = (0, 0, 0, 0, 0);
                _failed.Clear();
            }

            _named += count;
            return new Run(this, ++_runs);
        }
    }

    public WarmStanding Now()
    {
        lock (_lock)
        {
            return new WarmStanding(
                _active > 0, _named, _stored, _here, _failures, _bytes + _running.Values.Sum(step => step.Bytes),
                [.. _running.OrderBy(step => step.Key).Select(step => step.Value).Concat(_failed).Take(MaxListed)]);
        }
    }

    /// <summary>What one has asked for; disposed when it is over.</summary>
    internal sealed class Run(WarmStatus status, long number) : IDisposable
    {
        public void Tell(WarmProgress step)
        {
            lock (status._lock)
            {
                if (step.State == "running")
                {
                    status._running[(number, step.Item)] = step;
                    return;
                }

                status._running.Remove((number, step.Item));
                status._bytes += step.Bytes;
                switch (step.State)
                {
                    case "stored":
                        status._stored++;
                        break;
                    case "here":
                        status._here++;
                        break;
                    default:
                        status._failures++;
                        status._failed.Enqueue(step);
                        if (status._failed.Count > MaxListed)
                            status._failed.Dequeue();
                        break;
                }
            }
        }

        public void Dispose()
        {
            lock (status._lock)
            {
                status._active--;
                // Whoever asked has left.
                foreach (var key in status._running.Keys.Where(key => key.Run == number).ToList())
                    status._running.Remove(key);
            }
        }
    }
}

/// <param name="Running">Whether anything is being brought in.</param>
/// <param name="Named">Things that were asked for.</param>
/// <param name="Stored">Of those, how many had to be fetched and are here.</param>
/// <param name="Here">How many were here already.</param>
/// <param name="Failed">How many could not be had.</param>
/// <param name="Bytes">Received.</param>
/// <param name="Items">What is under way, and what has failed.</param>
internal sealed record WarmStanding(
    [property: JsonPropertyName("running")] bool Running,
    [property: JsonPropertyName("named")] int Named,
    [property: JsonPropertyName("stored")] int Stored,
    [property: JsonPropertyName("here")] int Here,
    [property: JsonPropertyName("failed")] int Failed,
    [property: JsonPropertyName("bytes")] long Bytes,
    [property: JsonPropertyName("items")] IReadOnlyList<WarmProgress> Items);
