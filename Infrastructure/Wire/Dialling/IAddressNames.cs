using System.Net;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>Tells which name an address was lately given for.</summary>
internal interface IAddressNames
{
    /// <summary>Null when no name led to it lately.</summary>
    string? Find(IPAddress address);
}
