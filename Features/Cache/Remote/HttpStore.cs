using System.Net;
using Discobot.Infrastructure.Config;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Remote;

/// <summary>Bodies at <c>URL/HEX</c>, by GET, HEAD and PUT: bazel-remote's <c>/cas</c>, a directory of nginx with <c>dav_methods PUT</c>.</summary>
internal sealed class HttpStore(Uri url, SecretText? authorization, RemoteClient client) : IRemoteStore
{
    public async Task<RemoteObject?> GetAsync(Hash256 digest, CancellationToken cancel) =>
        await RemoteAnswer.ObjectAsync(await SendAsync(HttpMethod.Get, digest, null, cancel), ErrorAsync, cancel);

    public async Task<bool> ExistsAsync(Hash256 digest, long length, CancellationToken cancel)
    {
        using var response = await SendAsync(HttpMethod.Head, digest, null, cancel);
        return response.IsSuccessStatusCode ? RemoteAnswer.IsOf(response, length) : (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Gone or HttpStatusCode.MethodNotAllowed ? false : throw await ErrorAsync(response, cancel));
    }

    public async Task PutAsync(Hash256 digest, SafeFileHandle file, long length, CancellationToken cancel)
    {
        using var response = await SendAsync(HttpMethod.Put, digest, new FileContent(file, 0, length), cancel);
        if (!response.IsSuccessStatusCode)
            throw await ErrorAsync(response, cancel);
    }

    // A GET is all that such a store could take for it.
    public Task<bool> RefreshAsync(Hash256 digest, long length, CancellationToken cancel) => Task.FromResult(false);

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, Hash256 digest, HttpContent? content, CancellationToken cancel)
    {
        var request = new HttpRequestMessage(method, $"{url.ToString().TrimEnd('/')}/{digest}") { Content = content };
        if (authorization is not null)
        {
            // A file's value may be another by now. The message of one that cannot be read repeats nothing of it.
            if (!authorization.TryResolve(out var value) || authorization.HeaderProblem(value) is not null)
                throw new RemoteException(RemoteFailure.Denied, "cache.remote.authorization has no value that can be sent");
            request.Headers.TryAddWithoutValidation("Authorization", value);
        }

        return await client.SendAsync(request, cancel);
    }

    private static Task<RemoteException> ErrorAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        using (response)
            return Task.FromResult(RemoteAnswer.Error(response.StatusCode, ""));
    }
}
