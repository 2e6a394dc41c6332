using System.Net;
using Discobot.Features.Egress;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Where nested containers, and sockets that are bound to an interface, are led: addresses and routes that every interface has to have.</summary>
internal sealed class WaysToTheEntry(Container container)
{
    /// <summary>To each that comes, from now on. What binds itself to one hangs without; nobody gets out by that.</summary>
    public void Watch()
    {
        try
        {
            container.Running.InBackground("watch over the network's interfaces", container.Services.WatchInterfaces(AddRoutes), container.Log);
        }
        catch (LibcException error)
        {
            container.Log.Warning($"programs that bind themselves to an interface that comes later are not led to the proxy: {error.Message}");
        }
    }

    /// <summary>To those that are there now.</summary>
    public void Add()
    {
        foreach (var address in EgressFeature.Nested)
            Try(container.Services.AddLoopbackAddress, address);
        AddRoutes();
    }

    // The kernel takes a route away when its interface goes down, and knows of none by one that is new.
    private void AddRoutes()
    {
        foreach (var address in (IPAddress[])[IPAddress.Loopback, IPAddress.IPv6Loopback])
            Try(container.Services.AddLoopbackRoutes, address);
    }

    private void Try(Action<IPAddress> add, IPAddress address)
    {
        try
        {
            add(address);
        }
        catch (LibcException error)
        {
            // IPv6 may be off. What is sent there is then answered by nobody, or refused.
            container.Log.Debug($"no way to {address} for everybody: {error.Message}");
        }
    }
}
