namespace Discobot.Infrastructure.Wire.Requests;

/// <summary>Stands on a request whose client is not to read everything that the server says: for what no stage sees, as are interim answers.</summary>
internal interface IAnswerFilter
{
    /// <summary>The value of a field as the client may read it; the same text where nothing is to be hidden.</summary>
    string Filter(string text);
}
