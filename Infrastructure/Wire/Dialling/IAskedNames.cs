using System.Net;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>Tells which names a client was lately given our own address for.</summary>
internal interface IAskedNames
{
    /// <summary>In no order; those of all clients when it asked for none under this address.</summary>
    IReadOnlyCollection<string> AskedBy(IPAddress client);
}
