using System.IO.Pipelines;
using System.Net;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Infrastructure.Http1;

/// <summary>
/// A request of an HTTP/1.1 client and its answer, as the stages of the pipeline know them: it is its own collection of features, each of which it
/// implements itself. Used again for the next request on the same connection.
/// </summary>
internal sealed class ClientExchange : IFeatureCollection, IHttpRequestFeature, IHttpRequestBodyDetectionFeature, IRequestBodyPipeFeature,
    IHttpRequestTrailersFeature, IHttpRequestIdentifierFeature, IHttpRequestLifetimeFeature, IHttpConnectionFeature, IHttpUpgradeFeature,
    IHttpResponseFeature, IHttpResponseBodyFeature, IHttpResponseTrailersFeature
{
    private readonly List<KeyValuePair<Type, object>> _added = new(8);
    private readonly List<(Func<object, Task> Call, object State)> _onCompleted = [];
    private readonly ClientConnection _connection;
    private readonly ConnectionContext _transport;
    private readonly RequestHead _head;
    private readonly RequestBody _body;
    private readonly AnswerWriter _answer;
    private FieldList? _trailers;
    private Stream? _bodyStream;
    private Stream? _answerStream;

    public ClientExchange(ClientConnection connection, ConnectionContext transport, RequestHead head, RequestBody body, AnswerWriter answer)
    {
        (_connection, _transport, _head, _body, _answer) = (connection, transport, head, body, answer);
        answer.MayFollow = () => !connection.IsClosing && !IsBodyWithheld;
        Headers = head.Fields;
    }

    /// <summary>Whether the client waits for 100 and has sent nothing of the body: what comes next could be that body or another request
    /// (RFC 9110, 10.1.1).</summary>
    public bool IsBodyWithheld => _head.ExpectsContinue && !_body.HasBegun && !HasSentContinue;

    /// <summary>Bytes of the two bodies so far, without framing.</summary>
    public long Received => _body.Received;

    public long Sent => _answer.Sent;

    /// <summary>Whether the whole answer was sent, and the client has not left before.</summary>
    public bool IsWhole => _answer is { IsOver: true, IsGone: false, IsCutShort: false };

    private bool HasSentContinue { get; set; }

    /// <summary>Begins with another head.</summary>
    /// <param name="error">Why it cannot be served, for the first stage to answer; null: it can.</param>
    public void Begin(ProxyError? error)
    {
        _added.Clear();
        _onCompleted.Clear();
        (_trailers, HasSentContinue) = (null, false);
        (Method, RawTarget, Path, QueryString, PathBase) = (_head.Method, _head.Target, "/", "", "");
        Protocol = _head.MinorVersion == 1 ? HttpProtocol.Http11 : HttpProtocol.Http10;
        Headers = _head.Fields;
        TraceIdentifier = "";
        _body.Begin(error is null ? _head.Framing : default);
        _answer.Begin(_head);
        if (error is not null)
            Set(error);
        Revision++;
    }

    /// <summary>Ends the answer.</summary>
    public ValueTask EndAsync() => _answer.EndAsync();

    /// <summary>The exchange is over, whether or not its answer is whole: what is registered for that is called.</summary>
    public async ValueTask CompleteAsync()
    {
        for (var i = _onCompleted.Count - 1; i >= 0; i--)
            await _onCompleted[i].Call(_onCompleted[i].State);
    }

    /// <summary>A server has the whole request: see <see cref="ClientConnection.Follow"/>.</summary>
    public void Follow(Http1Exchange answering) => _connection.Follow(answering);

    /// <summary>The server broke off in the middle of its answer.</summary>
    public void EndShort() => _connection.EndShort();

    /// <summary>Passes an interim answer on.</summary>
    public ValueTask SendInterimAsync(ResponseHead head)
    {
        HasSentContinue |= head.Status == StatusCodes.Status100Continue;
        return _answer.SendInterimAsync(head.Status, head.Reason, head.Fields);
    }

    // The collection of features.
    public int Revision { get; private set; }

    bool IFeatureCollection.IsReadOnly => false;

    public object? this[Type key]
    {
        get
        {
            foreach (var (type, feature) in _added)
            {
                if (type == key)
                    return feature;
            }

            return key.IsInstanceOfType(this) ? this : _transport.Features[key];
        }
        set
        {
            Revision++;
            _added.RemoveAll(one => one.Key == key);
            if (value is not null)
                _added.Add(new(key, value));
        }
    }

    public TFeature? Get<TFeature>()
    {
        foreach (var (type, feature) in _added)
        {
            if (type == typeof(TFeature))
                return (TFeature)feature;
        }

        return (object)this is TFeature own ? own : _transport.Features.Get<TFeature>();
    }

    public void Set<TFeature>(TFeature? instance) => this[typeof(TFeature)] = instance;

    public IEnumerator<KeyValuePair<Type, object>> GetEnumerator() => _added.Concat(_transport.Features).GetEnumerator();

    System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();

    // The request.
    public string Protocol { get; set; } = HttpProtocol.Http11;

    public string Scheme { get; set; } = "http";

    public string Method { get; set; } = "";

    public string PathBase { get; set; } = "";

    public string Path { get; set; } = "/";

    public string QueryString { get; set; } = "";

    public string RawTarget { get; set; } = "";

    public IHeaderDictionary Headers { get; set; }

    Stream IHttpRequestFeature.Body
    {
        get => _bodyStream ??= _body.AsStream(leaveOpen: true);
        set => _bodyStream = value;
    }

    PipeReader IRequestBodyPipeFeature.Reader => _body;

    bool IHttpRequestBodyDetectionFeature.CanHaveBody => _head.Framing.End != BodyEnd.None;

    bool IHttpRequestTrailersFeature.Available => _body.IsOver;

    IHeaderDictionary IHttpRequestTrailersFeature.Trailers
    {
        get
        {
            if (_trailers is null)
            {
                _trailers = new FieldList();
                if (_body.Trailers is { } lines)
                    _trailers.Read(lines);
            }

            return _trailers;
        }
    }

    public string TraceIdentifier { get; set; } = "";

    CancellationToken IHttpRequestLifetimeFeature.RequestAborted { get => _connection.Aborted; set => throw new NotSupportedException(); }

    void IHttpRequestLifetimeFeature.Abort() => _connection.Abort();

    string IHttpConnectionFeature.ConnectionId { get => _transport.ConnectionId; set => throw new NotSupportedException(); }

    IPAddress? IHttpConnectionFeature.RemoteIpAddress { get => (_transport.RemoteEndPoint as IPEndPoint)?.Address; set => throw new NotSupportedException(); }

    IPAddress? IHttpConnectionFeature.LocalIpAddress { get => (_transport.LocalEndPoint as IPEndPoint)?.Address; set => throw new NotSupportedException(); }

    int IHttpConnectionFeature.RemotePort { get => (_transport.RemoteEndPoint as IPEndPoint)?.Port ?? 0; set => throw new NotSupportedException(); }

    int IHttpConnectionFeature.LocalPort { get => (_transport.LocalEndPoint as IPEndPoint)?.Port ?? 0; set => throw new NotSupportedException(); }

    bool IHttpUpgradeFeature.IsUpgradableRequest => _head.AsksForUpgrade;

    async Task<Stream> IHttpUpgradeFeature.UpgradeAsync()
    {
        await _connection.UnfollowAsync();
        await _answer.SwitchAsync();
        return _connection.Upgrade();
    }

    // The answer.
    int IHttpResponseFeature.StatusCode { get => _answer.Status; set => _answer.Status = value; }

    string? IHttpResponseFeature.ReasonPhrase { get => _answer.Reason; set => _answer.Reason = value; }

    IHeaderDictionary IHttpResponseFeature.Headers { get => _answer.Fields; set => throw new NotSupportedException(); }

    Stream IHttpResponseFeature.Body { get => AnswerStream; set => throw new NotSupportedException(); }

    bool IHttpResponseFeature.HasStarted => _answer.HasStarted;

    void IHttpResponseFeature.OnStarting(Func<object, Task> callback, object state) => _answer.OnStarting(callback, state);

    void IHttpResponseFeature.OnCompleted(Func<object, Task> callback, object state) => _onCompleted.Add((callback, state));

    Stream IHttpResponseBodyFeature.Stream => AnswerStream;

    PipeWriter IHttpResponseBodyFeature.Writer => _answer;

    void IHttpResponseBodyFeature.DisableBuffering()
    {
    }

    Task IHttpResponseBodyFeature.StartAsync(CancellationToken cancellationToken) => _answer.FlushAsync(cancellationToken).AsTask();

    Task IHttpResponseBodyFeature.SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken) =>
        SendFileFallback.SendFileAsync(AnswerStream, path, offset, count, cancellationToken);

    Task IHttpResponseBodyFeature.CompleteAsync() => _answer.EndAsync().AsTask();

    IHeaderDictionary IHttpResponseTrailersFeature.Trailers { get => _answer.Trailers; set => throw new NotSupportedException(); }

    private Stream AnswerStream => _answerStream ??= _answer.AsStream(leaveOpen: true);
}
