class Fetch {
    public static void main(String[] arguments) throws Exception {
        System.out.println(((java.net.HttpURLConnection) new java.net.URL(arguments[0]).openConnection()).getResponseCode());
        System.out.println(java.net.http.HttpClient.newHttpClient().send(
            java.net.http.HttpRequest.newBuilder(java.net.URI.create(arguments[0])).build(),
            java.net.http.HttpResponse.BodyHandlers.discarding()).statusCode());
    }
}
