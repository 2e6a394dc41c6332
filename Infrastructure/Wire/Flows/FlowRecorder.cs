using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Infrastructure.Wire.Flows;

/// <summary>Told of each flow when it is over, on the thread that served it: it must be quick, and never wait.</summary>
internal interface IFlowObserver
{
    void Ended(Flow flow);

    /// <summary>Whether it wants to know to which trace a request belongs; nobody reads the fields otherwise.</summary>
    bool WantsTraceContext => false;
}

/// <summary>Finds whose a client's connection is.</summary>
internal interface IClientPrograms
{
    /// <summary>Begins to look; sets <see cref="FlowClient.Program"/> if it finds it.</summary>
    void Look(ConnectionContext connection, FlowClient client);
}

/// <summary>Begins flows, numbers them, and tells the observers when they are over.</summary>
internal sealed class FlowRecorder(IEnumerable<IFlowObserver> observers, IClientPrograms? programs = null)
{
    private readonly IFlowObserver[] _observers = [.. observers];

    // Unique also among those of earlier starts, whose flows are in the same files.
    private long _lastId = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() << 20;

    /// <summary>Whether flows should say to which trace they belong.</summary>
    public bool KeepsTraceContext { get; } = observers.Any(observer => observer.WantsTraceContext);

    /// <summary>A number of its own, for what is no flow itself.</summary>
    public string NextId() => Interlocked.Increment(ref _lastId).ToString("x", CultureInfo.InvariantCulture);

    /// <summary>A connection was accepted.</summary>
    public void Accept(ConnectionContext connection, string entry)
    {
        var client = new FlowClient(connection.RemoteEndPoint) { Entry = entry };
        connection.Features.Set(client);
        programs?.Look(connection, client);
    }

    /// <summary>Begins one of a client's connection.</summary>
    public Flow Begin(FlowClient? client) => new() { Id = NextId(), Client = client, ClientName = client?.Name, Entry = client?.Entry ?? "http" };

    /// <summary>Begins one of a connection that is not HTTP, or not yet.</summary>
    public Flow Begin(ConnectionContext connection, ConnectTarget? target = null, string? protocol = null)
    {
        var flow = Begin(connection.Features.Get<FlowClient>());
        flow.Protocol = protocol;
        if (target is { } known)
            flow.LeadTo(known);
        return flow;
    }

    /// <summary>Ends one, and tells of it.</summary>
    public void End(Flow flow)
    {
        flow.End();
        foreach (var observer in _observers)
            observer.Ended(flow);
    }
}

/// <summary>The client's end of a connection: a feature of it.</summary>
/// <param name="address">Where it comes from.</param>
internal sealed class FlowClient(EndPoint? address)
{
    private volatile ClientProgram? _program;
    private volatile bool _isSought;

    public IPEndPoint? Address { get; } = address as IPEndPoint;

    /// <summary>The same, written out once for all that come by it.</summary>
    public string? AddressText { get; } = (address as IPEndPoint)?.ToString();

    /// <summary>By which way it came in: <c>http</c> until it turns out to be another.</summary>
    public string Entry { get; set; } = "http";

    /// <summary>Who it is, of those whom the configuration names, where that holds for all that comes by it; null: not known, or each request says it.</summary>
    public string? Name { get; set; }

    /// <summary>Whether it is being looked for whose it is.</summary>
    public bool IsSought { get => _isSought; set => _isSought = value; }

    /// <summary>Whose it is; null as long as that is not known.</summary>
    public ClientProgram? Program { get => _program; set => _program = value; }
}

/// <summary>Whose a connection of this machine is.</summary>
/// <param name="User">By number.</param>
/// <param name="Process">0: not known.</param>
/// <param name="Program">The path of what it runs; empty: not known.</param>
/// <param name="Parents">The same of its parent, that one's parent, and so on.</param>
internal sealed record ClientProgram(uint User, int Process, string Program, IReadOnlyList<string> Parents);
